# frozen_string_literal: true

require_relative 'machines'

# Members and registries on machines of their own: which addresses they find, and how soon they find each other again.
class TestMachines < Minitest::Test
  include Real

  GOAL = 35.0

  def setup
    skip('needs root, for network namespaces') unless Machines.possible?
  end

  # Runs a registry on the first of so many machines.
  def with_machines(count)
    Machines.run(count) do |machines|
      Dir.mktmpdir do |folder|
        registry = registry_on(machines, 0, folder)
        yield machines, registry, folder
      ensure
        registry&.close
      end
    end
  end

  def registry_on(machines, number, folder)
    registry = Xlreg::RegistryProcess.new(data: File.join(folder, 'data'), listen: "#{machines.address(0)}:7000")
    machines.with_program_on(number) { registry.start }
    registry
  end

  # What join takes on a machine.
  def join(machines, registry, folder, number, *more)
    [*machines.on(number), *EXE, 'join', 'web', '--create', '--size', '2', '--registry', registry.reg_cred,
     '--node', File.join(folder, "n#{number}"), '--name', "m#{number}", *more]
  end

  def endpoints(out) = JSON.parse(out)['members'].flat_map { |member| member['endpoints'] }

  def test_addresses_that_are_found
    with_machines(2) do |machines, registry, folder|
      command = join(machines, registry, folder, 1, '--endpoint', ':7001,eth7:7002,lo:7003', '-o', 'json')
      out, err, code = run_program(*command)
      assert_equal [0, %w[10.213.77.2:7001 10.213.77.2:7002 127.0.0.1:7003]], [code, endpoints(out)]
      assert_match(/\A\{"warning":"127.0.0.1:7003 is this machine's own loopback, and the registry is elsewhere: /, err)
      out, err, code = run_program(*join(machines, registry, folder, 1, '--endpoint', '169.254.1.1:1', '-o', 'json'))
      assert_equal [0, ['169.254.1.1:1']], [code, endpoints(out)]
      assert_match(/link-local address/, err)
      program = 'node = Xlreg::Node.new(name: "m2"); begin Xlreg.form(ARGV[0], node: node, cluster: "own", size: 2, ' \
                'advertise: [":7001", "eth7:2"], timeout: 1); ensure puts(node.endpoints.join(" ")) end'
      out, = run_program(*machines.on(1), Gem.ruby, *EXE[2, 2], '-r', 'xlreg', '-e', program, registry.reg_cred)
      assert_equal "10.213.77.2:7001 10.213.77.2:2\n", out
    end
  end

  # Lets m1 wait, has the block do something to the network, completes the cluster with m2, and makes sure that m1
  # has it soon, with the times that everybody has.
  def complete_after(machines, registry, folder)
    log = File.join(folder, 'log')
    waiting = spawn(*join(machines, registry, folder, 1, '--endpoint', ':7001', '--wait', '600s'), out: log, err: log)
    sleep(0.2) until joined?(machines, registry)
    yield
    said = run_program(*join(machines, registry, folder, 2, '--endpoint', ':7001', '--wait', '600s'))
    assert_equal 0, said[2], said[1]
    began = Xlreg::Clock::REAL.now
    Process.wait(waiting)
    took = Xlreg::Clock::REAL.now - began
    assert_equal 0, $CHILD_STATUS.exitstatus, File.read(log)
    assert_operator took, :<, GOAL
    puts format('%<name>s: %<took>.1f s', name: name, took: took)
  end

  def joined?(machines, registry)
    command = [*machines.on(1), *EXE, 'get', 'web', '-o', 'json', '--registry', registry.reg_cred]
    out, _, code = run_program(*command)
    code.zero? && !JSON.parse(out)['members'].empty?
  end

  # What follows takes minutes, since nothing is faster than it really is.
  if ENV['XLREG_LONG']
    # Another machine takes over the address and the data; the old one says nothing more.
    def test_a_power_cycle
      with_machines(4) do |machines, registry, folder|
        second = nil
        complete_after(machines, registry, folder) do
          machines.cable(0, false)
          registry.kill
          machines.give(3, machines.address(0))
          second = registry_on(machines, 3, folder)
        end
      ensure
        second&.close
      end
    end

    [5, 60].each do |seconds|
      define_method("test_a_hole_of_#{seconds}_seconds") do
        with_machines(3) do |machines, registry, folder|
          complete_after(machines, registry, folder) do
            machines.cable(0, false)
            sleep(seconds)
            machines.cable(0, true)
          end
        end
      end
    end
  end
end
