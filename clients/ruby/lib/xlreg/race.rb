# frozen_string_literal: true

module Xlreg
  # Tries the same with several entrants side by side and takes the first that succeeds. Each has a head start
  # of the next, so that one that leads nowhere holds nobody up, and those behind one that works are left alone.
  # @api private
  class Race
    # @param entrants [Array]
    # @param head_start [Float] seconds until the next is begun, unless the one before has failed by then
    # @param expected [Array<Class>] the errors by which an entrant loses; others are raised
    # @yieldparam entrant [Object] in a thread of its own if there are several
    # @yieldreturn [#close] closed if another was faster
    # @return [Array(Object, Array<StandardError>)] the result of the first that succeeded, or nil; and the
    #   errors of the others, in the order of the entrants
    def self.run(entrants, head_start, *expected, &attempt)
      return new(entrants, head_start, expected, attempt).run if entrants.size > 1

      [entrants.map(&attempt).first, []]
    rescue *expected => e
      [nil, [e]]
    end

    def initialize(entrants, head_start, expected, attempt)
      @entrants = entrants
      @head_start = head_start
      @expected = expected
      @attempt = attempt
      @threads = []
      @mutex = Mutex.new
      @news = ConditionVariable.new
      @results = [] # guarded by the mutex
      @failures = {} # guarded by the mutex; by the number of the entrant
    end

    # @api private
    def run
      @entrants.each_with_index do |entrant, number|
        @threads << Worker.start { enter(entrant, number) }
        wait(@head_start) { over? || @failures.key?(number) }
        break if over?
      end
      wait { over? }
      finish
    ensure
      @threads.each { |thread| thread.kill.join }
      @results.each { |result, _| result.close } # of those that were too late
    end

    private

    def enter(entrant, number)
      result = @attempt.call(entrant)
      Worker.undisturbed { tell { @results << [result, Worker.let_go] } }
    rescue StandardError => e
      tell { @failures[number] = e }
    end

    def tell
      @mutex.synchronize do
        yield
        @news.signal
      end
    end

    # Waits until the block is true, or for so many seconds.
    def wait(seconds = nil)
      limit = Limit.new(seconds)
      @mutex.synchronize do
        @news.wait(@mutex, limit.set? ? limit.left : nil) until yield || limit.over?
      end
    end

    # Takes what the first has that succeeded, with what was opened for it; nil if none did.
    def winner
      Worker.undisturbed do
        result, sockets = @results.shift
        Worker.take(sockets) if sockets
        result
      end
    end

    def over? = !@results.empty? || @failures.size == @entrants.size

    def finish
      failures = @failures.sort.map(&:last)
      strange = failures.find { |failure| @expected.none? { |kind| failure.is_a?(kind) } }
      raise strange if strange

      [winner, failures]
    end
  end
end
