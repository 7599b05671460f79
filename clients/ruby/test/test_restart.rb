# frozen_string_literal: true

require_relative 'clusters'

# The registry is killed and started again while clients wait.
class TestRestart < Minitest::Test
  include Clusters

  # Runs the block with a registry that keeps its data, or loses all at its end.
  def with_restarts(lasting: true)
    Dir.mktmpdir do |folder|
      data = File.join(folder, 'data') if lasting
      registry = Xlreg::RegistryProcess.new(data: data, listen: own_address).start
      leaving_nothing_open { yield registry }
    ensure
      registry&.close
    end
  end

  # Joins a cluster of four in a thread of its own, and tells each step to a queue.
  def member(registry, number, protocol = '2.0')
    told = Queue.new
    forming = Thread.new do
      listener = TCPServer.new('127.0.0.1', 0)
      Xlreg.form(registry.reg_cred, node: node(number), cluster: 'lasting', size: 4, listeners: [listener],
                                    protocol: protocol, allow_unverified: true, timeout: 2 * PATIENCE) do |now|
        told.push(now)
      end
    ensure
      listener.close
    end
    [forming, told]
  end

  # Waits for the cluster as a reader.
  def reader(registry)
    told = Queue.new
    waiting = Thread.new do
      Xlreg.await(registry.url, 'lasting', timeout: 2 * PATIENCE) { |now| told.push(now) }
    end
    [waiting, told]
  end

  # Waits until a step is told that fulfils the block.
  def until_told(queue)
    loop do
      now = queue.pop
      return now if yield now
    end
  end

  # Three members wait over three carriers, and a reader; the registry goes and comes back; the fourth member
  # completes the cluster.
  { 'killed' => :kill, 'stopped' => :stop }.each do |how, action|
    define_method("test_the_registry_is_#{how}_while_clients_wait") do
      with_restarts do |registry|
        waiting = %w[2.0 1.9 1.8].each_with_index.map { |protocol, i| member(registry, i, protocol) }
        waiting.each { |_, told| until_told(told, &:roster) }
        waiting << reader(registry)
        until_told(waiting.last[1], &:roster)
        registry.send(action)
        waiting.each { |_, told| check_told(until_told(told, &:error).error) }
        registry.start
        check_complete([*waiting, member(registry, 3)])
      end
    end
  end

  def check_told(error)
    assert_includes [Xlreg::SessionEndedError, Xlreg::TryLaterError], error.class
  end

  def check_complete(waiting)
    rosters = waiting.map { |thread, _| thread.value }.map { |value| value.is_a?(Xlreg::Roster) ? value : value.roster }
    rosters.each { |roster| assert_equal %w[m0 m1 m2 m3], roster.members.map(&:name).sort }
    assert_equal({ 'm0' => true, 'm1' => false, 'm2' => false, 'm3' => true },
                 rosters.last.members.to_h { |member| [member.name, member.verified?] })
  end

  # Members make the cluster anew; who only reads is told that there is none.
  def test_the_registry_loses_its_memory
    with_restarts(lasting: false) do |registry|
      waiting = Array.new(3) { |i| member(registry, i) }
      waiting.each { |_, told| until_told(told, &:roster) }
      registry.kill
      waiting.each { |_, told| until_told(told, &:error) }
      registry.start
      rosters = [*waiting, member(registry, 3)].map { |thread, _| thread.value.roster }
      assert_equal [%w[m0 m1 m2 m3]] * 4, (rosters.map { |roster| roster.members.map(&:name).sort })
    end
  end

  def test_forming_begins_before_the_registry_does
    with_restarts do |registry|
      registry.kill
      waiting = Array.new(4) { |i| member(registry, i) }
      registry.start
      waiting.each { |thread, _| assert_equal 0, thread.value.roster.missing }
    end
  end

  def test_time_is_up_while_the_registry_is_away
    with_restarts do |registry|
      error = assert_raises(Xlreg::IncompleteError) do
        Xlreg.form(registry.reg_cred, node: node(0, endpoints: ['127.0.0.1:7001']), cluster: 'c', size: 2,
                                      timeout: 6) { |now| registry.kill if now.roster }
      end
      assert_kind_of Xlreg::Error, error.obstacle
      assert_match(/1 of 2 members joined, 1 missing: time is up: /, error.message)
      assert_match(/joined: m0 at 127.0.0.1:7001 since/, error.message)
    end
  end

  def test_a_reader_says_what_it_knew_when_time_was_up
    with_restarts do |registry|
      Xlreg::Client.open(registry.url, node: node(0, endpoints: ['127.0.0.1:7001'])) do |client|
        client.register
        client.create('web', size: 3)
        client.join
      end
      [[], [registry]].each do |killed|
        error = await_in_vain(registry) { killed.each(&:kill) }
        assert_equal [2, ['m0']], [error.missing, error.roster.members.map(&:name)]
        assert_match(/\Await for cluster "web": 1 of 3 members joined/, error.message)
      end
    end
  end

  # Waits as a reader whose time is up when it has heard a roster and the block has run.
  def await_in_vain(registry)
    clock = Hand.new
    heard = lambda do |now|
      yield if now.roster
      clock.now += 2 * PATIENCE
    end
    reader = Xlreg::Awaiting.new(Xlreg::Options.of(registry.url), Xlreg::ClusterRef.of('web'), 0, heard)
    assert_raises(Xlreg::IncompleteError) { reader.run(clock.limit(PATIENCE)) }
  end

  def test_what_a_reader_need_not_wait_for
    with_restarts do |registry|
      assert_raises(Xlreg::NoSuchClusterNameError) { Xlreg.await(registry.url, 'none', timeout: PATIENCE) }
      assert_raises(Xlreg::NeedsNodeError) { Xlreg.await(registry.reg_cred, 'none', protocol: '1.9') }
      assert_raises(Xlreg::NoSuchClusterNameError) do
        Xlreg.await(registry.reg_cred, 'none', protocol: '1.9', node: node(0), timeout: PATIENCE)
      end
    end
  end

  # A limit of new nodes is one to wait for; outside of form it is an error that says how long.
  def test_a_registry_that_says_come_back
    with_registry(arguments: ['--new-per-minute-loopback', '1']) do |registry|
      Xlreg::Client.open(registry.url, node: node(0), &:register)
      Xlreg::Client.open(registry.url, node: node(1)) do |client|
        error = assert_raises(Xlreg::TooManyRequestsError) { client.register }
        assert_includes 0.001..60, error.retry_after
      end
      late = assert_raises(Xlreg::IncompleteError) do
        Xlreg.form(registry.url, node: node(1, endpoints: ['127.0.0.1:1']), cluster: 'c', size: 2, timeout: 3)
      end
      assert_kind_of Xlreg::TooManyRequestsError, late.obstacle
    end
  end
end
