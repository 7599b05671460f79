# frozen_string_literal: true

require 'io/wait'
require 'tmpdir'
require_relative '../xlreg'

module Xlreg
  # A real registry for tests, with minitest or RSpec. It is the program xlreg, found by the environment
  # variable XLREG_BIN, and else on the PATH.
  #
  #     require 'xlreg/test_helper'
  #
  #     class TestMine < Minitest::Test
  #       include Xlreg::TestHelper
  #
  #       def test_mine
  #         with_registry { |registry| Xlreg::Client.open(registry.url) { |client| … } }
  #       end
  #     end
  module TestHelper
    # Runs the block while a registry runs.
    # @yieldparam registry [RegistryProcess]
    # @return [Object] what the block returns
    def with_registry(**options, &) = RegistryProcess.run(**options, &)

    # @param kind [String] rsa2048, which every protocol knows, or another of Keys::KINDS
    # @return [Keys] keys that are made once and used again, since RSA keys take time
    def self.keys(number = 0, kind = Keys::DEFAULT)
      @keys ||= Hash.new { |all, (n, wanted)| all[[n, wanted]] = Keys.generate(wanted) }
      @keys[[number, kind]]
    end

    # @return [String] where the program xlreg is
    # @raise [NoProgramError] it is neither where XLREG_BIN says nor on the PATH
    def self.program
      given = ENV.fetch('XLREG_BIN', '')
      return on_path if given.empty?
      return given if File.file?(given) && File.executable?(given)

      raise NoProgramError, "XLREG_BIN is #{given}, and there is no program there"
    end

    # @api private
    def self.on_path
      found = ENV.fetch('PATH', '').split(File::PATH_SEPARATOR).map { |folder| File.join(folder, 'xlreg') }
                 .find { |path| File.file?(path) && File.executable?(path) }
      found or raise NoProgramError, 'there is no program xlreg on the PATH: set XLREG_BIN to where it is ' \
                                     '(go build -o xlreg ./cmd/xlreg makes it)'
    end
    private_class_method :on_path
  end

  # A registry that runs until stop, or until this process ends in whatever way.
  #
  # Without data it is `xlreg serve --dev`: on loopback, on a free port, forgotten when it ends.
  class RegistryProcess
    START_SECONDS = 30.0
    STOP_SECONDS = 15.0
    LOG_LINES = 50
    # Runs a program until its own standard input ends, as happens when the process that holds the other end ends, even
    # if that is killed. Ctrl-C is for the tests, which then close the input.
    SUPERVISOR = <<~RUBY
      %w[INT TERM HUP].each { |signal| trap(signal, 'IGNORE') }
      child = nil
      trap('USR1') { Process.kill(:KILL, child) if child }
      child = spawn(*ARGV, in: File::NULL)
      Thread.new { $stdin.read; Process.kill(:TERM, child); sleep 12; Process.kill(:KILL, child) }
      Process.wait(child)
    RUBY
    private_constant :START_SECONDS, :STOP_SECONDS, :LOG_LINES, :SUPERVISOR

    # Runs the block while a registry runs.
    # @param options [Hash] see initialize
    # @yieldparam registry [RegistryProcess]
    # @return [Object] what the block returns
    def self.run(**options)
      registry = new(**options)
      registry.start
      yield registry
    ensure
      registry&.close
    end

    # @param data [String, nil] the directory to keep keys and data in; nil for a temporary one
    # @param listen [String] the address to listen on; by default a free port on loopback
    # @param arguments [Array<String>] more arguments for xlreg serve
    def initialize(data: nil, listen: '127.0.0.1:0', arguments: [])
      @own = Dir.mktmpdir('xlreg-') unless data
      @data = data || File.join(@own, 'data')
      @arguments = [*('--dev' unless data), *arguments]
      @listen = listen
      @log = []
    end

    # Starts it, and returns when it is open. Started again, it listens where it did.
    # @return [self]
    # @raise [NoProgramError] there is no program, or it ended; the error says what it said last
    def start
      command = [TestHelper.program, 'serve', '--data', @data, '--listen', @listen, *@arguments]
      input, @input = IO.pipe
      output, written = IO.pipe
      @pid = spawn(environment, Gem.ruby, '-e', SUPERVISOR, *command, in: input, out: File::NULL, err: written)
      [input, written].each(&:close)
      @listen = await_open(output)
      @reader = Thread.new { drain(output) }
      self
    rescue StandardError
      output&.close
      stop
      raise
    end

    # @return [String] the file with its credentials, which 1.8 and 1.9 need
    def reg_cred = File.join(@data, 'regCred.dat')

    # @return [RegCred] its credentials
    def cred = RegCred.read(reg_cred)

    # @return [String] its xlreg:// line
    def url = cred.url

    # @return [String] the last lines of its log
    def log = @log.join

    # Ends it at once, as a crash would. It can be started again.
    # @return [void]
    def kill
      Process.kill(:USR1, @pid) if @pid
      wait
    end

    # Ends it in order. It can be started again.
    # @return [void]
    def stop
      @input&.close
      wait
    end

    # Ends it, and removes what was its own. May be called again.
    # @return [void]
    def close
      stop
      FileUtils.remove_entry(@own) if @own && File.exist?(@own)
    end

    private

    # What is set for the tests' own use of the command line is not for the registry.
    def environment = ENV.keys.grep(/\AXLREG_/).to_h { |name| [name, nil] }

    # Returns where it listens, which its log says in a line of JSON.
    def await_open(output)
      limit = Limit.new(START_SECONDS)
      while output.wait_readable(limit.left) && (line = output.gets)
        note(line)
        return line[/"endpoints":\["([^"]+)"/, 1] if line.include?('"registry is open"')
      end
      raise NoProgramError, "the registry did not open: #{log}"
    end

    def drain(output)
      output.each_line { |line| note(line) }
    ensure
      output.close
    end

    def note(line)
      @log << line
      @log.shift while @log.size > LOG_LINES
    end

    def wait
      return unless @pid

      ended = Thread.new(@pid) { |pid| Process.wait(pid) }
      Process.kill(:KILL, @pid) unless ended.join(STOP_SECONDS)
      ended.join
      @pid = nil
      @reader&.join
      @input.close
    end
  end
end
