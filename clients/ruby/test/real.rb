# frozen_string_literal: true

require_relative 'helper'
require 'xlreg/test_helper'
require 'English'
require 'open3'

# Help of the tests that talk to a real registry.
module Real
  include Xlreg::TestHelper

  PATIENCE = 30

  # This client's program.
  EXE = [Gem.ruby, '-w', '-I', File.expand_path('../lib', __dir__), File.expand_path('../exe/xlreg-rb', __dir__)].freeze

  # Chooses an order that is as it was.
  class AsGiven
    # Array#shuffle swaps the last of those that are left with the one that this says.
    def rand(limit) = limit - 1
  end

  module_function

  # @return [Xlreg::Node] in memory, with keys that were made before
  def node(number, **more)
    Xlreg::Node.new(**{ name: "m#{number}", keys: Xlreg::TestHelper.keys(number) }.merge(more))
  end

  # An address to listen on for a registry that is started again. Another program on the machine can
  # be given a port as soon as nobody listens on it, be it only for an outgoing connection. Nobody
  # else uses this address of loopback, where the system has more than one, so the port stays free.
  def own_address
    RUBY_PLATFORM.include?('linux') ? "127.80.#{rand(256)}.#{rand(1..254)}:0" : '127.0.0.1:0'
  end

  # Runs the block, and makes sure that it leaves no file descriptor open.
  def leaving_nothing_open
    before = open_descriptors
    yield
  ensure
    assert_empty open_descriptors - before if $ERROR_INFO.nil?
  end

  # What is open apart from pipes of the interpreter's own.
  def open_descriptors
    Dir.children('/proc/self/fd').filter_map do |fd|
      File.readlink("/proc/self/fd/#{fd}")
    rescue Errno::ENOENT
      nil # that of the listing itself
    end.grep(/socket|\.pem|lock|json/).sort
  end

  # @return [Array(String, String, Integer)] what a program printed, and its exit code
  def run_program(*command)
    plain = ENV.keys.grep(/\AXLREG_/).to_h { |name| [name, nil] }
    out, err, status = Open3.capture3(plain, *command)
    [out, err, status.exitstatus]
  end

  # Runs the Go program.
  def run_go(*arguments) = run_program(Xlreg::TestHelper.program, *arguments)

  # Runs exe/xlreg-rb.
  def run_ruby(*arguments) = run_program(*EXE, *arguments)
end
