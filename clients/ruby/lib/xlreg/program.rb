# frozen_string_literal: true

module Xlreg
  # A program that runs in a group of its own, so that signals reach all that it starts. While it runs, the signals that
  # would end this program are passed on to it, and it has some time to end then. It has to be closed.
  # @api private
  class Program
    # A program that was started has ended badly, or could not be started.
    class EndedError < StandardError
      # @return [Integer] the exit code that shells give for that
      attr_reader :status

      # @param text [String]
      # @param status [Integer]
      def initialize(text, status)
        super(text)
        @status = status
      end
    end

    GRACE_SECONDS = 5 # from SIGTERM to SIGKILL
    NOT_FOUND = 127 # the exit codes of shells for what cannot be started
    CANNOT_RUN = 126
    BY_SIGNAL = 128
    PASSED_ON = %w[INT TERM HUP].freeze
    private_constant :GRACE_SECONDS, :NOT_FOUND, :CANNOT_RUN, :BY_SIGNAL, :PASSED_ON

    # @param name [String] what errors call it
    def initialize(name)
      @name = name
      @pid = @pending = @waiter = @killer = nil
      @before = PASSED_ON.to_h { |signal| [signal, Signal.trap(signal) { stop(signal) }] }
      @before.select { |_, handler| handler == 'IGNORE' }.each_key { |signal| Signal.trap(signal, 'IGNORE') } # nohup
    end

    # @param environment [Hash{String => String, nil}]
    # @param words [Array<String>] no shell looks at them
    # @param streams [Hash] in, out and err
    # @raise [EndedError] it could not be started
    def start(environment, words, **streams)
      @pid = spawn(environment, [words.first, words.first], *words.drop(1), pgroup: true, **streams)
      @waiter = Process.detach(@pid)
      stop(@pending) if @pending
    rescue Errno::ENOENT
      raise EndedError.new("#{words.first}: no such program: install it, or give its path", NOT_FOUND)
    rescue SystemCallError, ArgumentError => e
      raise EndedError.new("#{words.first}: #{e.message}", CANNOT_RUN)
    end

    # Asks it to end. If it does not, it is killed.
    # @param signal [String]
    def stop(signal = 'TERM')
      @pending = signal
      return unless @pid

      kill(signal)
      kill_later
    end

    # Waits until it has ended.
    # @raise [EndedError] it has ended badly
    def wait
      status = @waiter.value
      return if status.success?

      signal = status.termsig
      raise EndedError.new("#{@name} was ended by a signal: #{Signal.signame(signal)}", BY_SIGNAL + signal) if signal

      raise EndedError.new("#{@name} ended with exit status #{status.exitstatus}", status.exitstatus)
    end

    # Kills it if it still runs, and gives the signals back. May be called again.
    def close
      kill('KILL') if @waiter&.alive?
      @waiter&.join
      @killer&.kill&.join
      @before.each { |signal, handler| Signal.trap(signal, handler || 'DEFAULT') }
      @before = {}
    end

    private

    def kill_later
      return if @killer

      @killer = Thread.new { sleep(GRACE_SECONDS) && kill('KILL') }
    end

    def kill(signal)
      Process.kill(signal, -@pid)
    rescue Errno::ESRCH
      nil # it has ended
    end
  end
end
