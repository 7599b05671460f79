# frozen_string_literal: true

module Xlreg
  # Says how far a wait has come and how much time is left: on a terminal in one line that is written over,
  # elsewhere in a few lines that a log can take.
  # @api private
  class StatusLine
    ERASE = "\r\e[K"
    QUIET = 1 # second; a shorter wait is not worth a line in a log
    AGAIN = 30 # seconds between two lines in a log that say the same
    NAMED = 16 # members in a line
    CHANGED = 5 # and between two that do not
    private_constant :ERASE, :QUIET, :AGAIN, :CHANGED, :NAMED

    # Runs the block while the line is shown, and takes it away.
    # @param out [IO]
    # @param limit [Limit] until when there is time
    # @param what [String] the cluster
    # @param quiet [Boolean] whether a log is told nothing, since it wants the outcome alone
    # @yieldparam line [StatusLine]
    def self.run(out, limit, what, quiet: false)
      line = new(out, limit, what, quiet)
      yield line
    ensure
      line&.close
    end

    def initialize(out, limit, what, quiet)
      @out = out
      @limit = limit
      @what = what
      @visible = out.respond_to?(:tty?) && out.tty?
      @mutex = Mutex.new
      @text = 'looking for the registry' # guarded by the mutex
      @quiet = quiet && !@visible
      @told = @known = nil
      @ticking = Thread.new { @visible ? tick : log }
    end

    # @return [Boolean] whether there is anybody to see it
    def visible? = @visible

    # Takes note of how far the wait has come.
    # @param now [Progress]
    def show(now)
      return tell(now.error) if now.error && !visible?

      @mutex.synchronize { @text = describe(now) }
      @known = @text if now.roster
      return unless visible?

      write
    end

    # Takes the line away. May be called again.
    def close
      @ticking.kill.join
      @out.write(ERASE) if visible?
      @visible = false
    rescue SystemCallError
      nil # nobody looks any more
    end

    private

    # Tells a log what has to be tried again. The same is told once.
    def tell(error)
      return if @told == error.message

      @told = error.message
      say("trying again, #{left}: #{CLI.one_line(error)}")
    end

    def log
      sleep(QUIET)
      loop do
        said = @known
        say("waiting for the members of #{@what}#{": #{said}" if said}, #{left}")
        (AGAIN / CHANGED).times { sleep(CHANGED) if @known == said }
      end
    end

    def say(text)
      @mutex.synchronize { @out.write("xlreg: #{text}\n") } unless @quiet
    rescue SystemCallError
      nil # nobody reads the log
    end

    def left = "#{@limit.left.round} s left"

    def describe(now)
      return "trying again: #{now.error.message}" if now.error
      return 'joining' unless now.roster

      names = now.roster.members.map(&:name)
      more = " and #{names.size - NAMED} more" if names.size > NAMED
      "#{names.size} of #{now.size} joined (#{names.first(NAMED).join(' ')}#{more}), " \
        "#{[0, now.size - names.size].max} missing"
    end

    def tick
      loop do
        write
        sleep(1)
      end
    end

    def write
      @mutex.synchronize do
        line = "#{left}, #{@text}"
        @out.write("#{ERASE}#{line[0, Output.width(@out) - 1]}")
      end
    rescue SystemCallError
      nil # nobody looks any more
    end
  end
end
