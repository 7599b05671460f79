# frozen_string_literal: true

require 'English'
require_relative 'real'

# Machines of their own, made of network namespaces that a switch connects. They need root.
class Machines
  NET = '10.213.77'

  # Runs the block with so many machines, and takes them down.
  def self.run(count)
    machines = new(count)
    machines.connect
    yield machines
  ensure
    machines&.close
  end

  # @return [Boolean] whether this user may make any
  def self.possible? = Process.uid.zero? && system('ip', 'netns', 'list', out: File::NULL, err: File::NULL)

  def initialize(count)
    @switch = "xr#{Process.pid}s"
    @names = Array.new(count) { |i| "xr#{Process.pid}m#{i}" }
  end

  # Makes them, and plugs their cables in.
  def connect
    [@switch, *@names].each { |name| ip('netns', 'add', name) }
    ip('-n', @switch, 'link', 'add', 'name', 'bridge0', 'type', 'bridge')
    ip('-n', @switch, 'link', 'set', 'bridge0', 'up')
    @names.each_index do |number|
      plug_in(number)
      give(number, address(number))
    end
  end

  # @return [String] the address that a machine has at first
  def address(number) = "#{NET}.#{number + 1}"

  # @return [Array<String>] what goes before a command that is to run on a machine
  def on(number) = ['ip', 'netns', 'exec', @names[number]]

  # Gives a machine one address more, which it may take over from another. The others forget whose it was.
  def give(number, address)
    ip('-n', @names[number], 'addr', 'add', "#{address}/24", 'dev', 'eth7')
    @names.each { |name| system('ip', '-n', name, 'neigh', 'flush', 'all', err: File::NULL) }
  end

  # Pulls a machine's cable, or plugs it in again. Nobody is told.
  def cable(number, plugged)
    ip('-n', @switch, 'link', 'set', "p#{number}", plugged ? 'up' : 'down')
  end

  # Runs the block with a program xlreg that runs on a machine.
  def with_program_on(number, &)
    Dir.mktmpdir do |folder|
      path = File.join(folder, 'xlreg')
      File.write(path, "#!/bin/sh\nexec #{on(number).join(' ')} #{Xlreg::TestHelper.program} \"$@\"\n", perm: 0o755)
      Xlreg::TestHelper.stub(:program, path, &)
    end
  end

  def close = [@switch, *@names].each { |name| system('ip', 'netns', 'delete', name, err: File::NULL) }

  private

  def plug_in(number)
    name = @names[number]
    ip('link', 'add', "p#{number}", 'netns', @switch, 'type', 'veth', 'peer', 'name', 'eth7', 'netns', name)
    ip('-n', @switch, 'link', 'set', "p#{number}", 'master', 'bridge0', 'up')
    ip('-n', name, 'link', 'set', 'lo', 'up')
    ip('-n', name, 'link', 'set', 'eth7', 'up')
  end

  def ip(*arguments)
    system('ip', *arguments) or raise "ip #{arguments.join(' ')}: #{$CHILD_STATUS}"
  end
end
