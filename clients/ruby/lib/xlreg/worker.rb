# frozen_string_literal: true

module Xlreg
  # Threads that may be killed at any moment, and then leave no socket open: not even one that they have just opened,
  # and that nobody else has taken note of yet.
  # @api private
  module Worker
    OPENED = :xlreg_opened
    private_constant :OPENED

    # @yield in a thread. What it has opened is closed when it ends
    # @return [Thread]
    def self.start
      Thread.new do
        Thread.current.thread_variable_set(OPENED, [])
        yield
      ensure
        let_go.each(&:close)
      end
    end

    # @yieldreturn [Socket] one that belongs to this thread from now on
    # @return [Socket]
    def self.open
      undisturbed { yield.tap { |socket| take([socket]) } }
    end

    # Runs a block that kill does not end, which is for short ones.
    def self.undisturbed(&) = Thread.handle_interrupt(Object => :never, &)

    # Makes sockets of another thread this one's. The main thread, and those of users, own none: they are not killed.
    # @param sockets [Array<Socket>]
    def self.take(sockets)
      own = Thread.current.thread_variable_get(OPENED) or return
      own.reject!(&:closed?)
      own.concat(sockets)
    end

    # @return [Array<Socket>] what this thread owned until now
    def self.let_go
      own = Thread.current.thread_variable_get(OPENED) || []
      own.dup.tap { own.clear }
    end
  end
end
