# frozen_string_literal: true

module Xlreg
  # Runs a block in a thread for as long as somebody needs it. It owns the thread, and waits for it.
  # @api private
  class Keeper
    # @yield in the thread, which may be ended anywhere
    def initialize(&work)
      @work = work
      @mutex = Mutex.new
      @users = 0
      @closed = false
      @thread = nil
    end

    # Runs until release.
    # @return [Boolean] false if it was closed
    def acquire
      @mutex.synchronize do
        next false if @closed

        @users += 1
        @thread ||= Worker.start(&@work)
        true
      end
    end

    # Waits, if nobody else needs it, until nothing runs any more.
    def release
      @mutex.synchronize do
        @users -= 1
        stop if @users.zero?
      end
    end

    # Ends it for everybody. May be called again.
    def close
      @mutex.synchronize do
        @closed = true
        stop
      end
    end

    private

    def stop
      thread = @thread
      @thread = nil
      thread&.kill&.join
    end
  end
end
