# frozen_string_literal: true

module Xlreg
  # One line on a terminal that says how far a wait has come, and how much time is left. Where there is no
  # terminal it says only why a registry makes one wait.
  # @api private
  class StatusLine
    ERASE = "\r\e[K"
    private_constant :ERASE

    # Runs the block while the line is shown, and takes it away.
    # @param out [IO]
    # @param limit [Limit] until when there is time
    # @yieldparam line [StatusLine]
    def self.run(out, limit)
      line = new(out, limit)
      yield line
    ensure
      line&.close
    end

    def initialize(out, limit)
      @out = out
      @limit = limit
      @visible = out.respond_to?(:tty?) && out.tty?
      @mutex = Mutex.new
      @text = 'looking for the registry' # guarded by the mutex
      @told = nil
      @ticking = Thread.new { tick } if @visible
    end

    # @return [Boolean] whether there is anybody to see it
    def visible? = @visible

    # Takes note of how far the wait has come.
    # @param now [Progress]
    def show(now)
      return tell(now.error) unless visible?

      @mutex.synchronize { @text = describe(now) }
      write
    end

    # Takes the line away. May be called again.
    def close
      @ticking&.kill&.join
      @out.write(ERASE) if visible?
      @visible = false
    rescue SystemCallError
      nil # who looked is gone
    end

    private

    # A registry that says to come back later is told once in each of its words.
    def tell(error)
      return unless error.is_a?(TooManyRequestsError) || error.is_a?(TryLaterError)
      return if @told == error.message

      @told = error.message
      @out.write("xlreg: #{error.message}; trying again in #{error.retry_after.ceil} s\n")
    end

    def describe(now)
      return "trying again: #{now.error.message}" if now.error
      return 'joining' unless now.roster

      names = now.roster.members.map(&:name)
      "#{names.size} of #{now.size} joined, #{[0, now.size - names.size].max} missing: #{names.join(' ')}"
    end

    def tick
      loop do
        write
        sleep(1)
      end
    end

    def write
      @mutex.synchronize do
        line = "#{@limit.left.round} s left, #{@text}"
        @out.write("#{ERASE}#{line[0, Output.width(@out) - 1]}")
      end
    rescue SystemCallError
      nil # who looked is gone
    end
  end
end
