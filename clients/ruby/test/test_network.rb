# frozen_string_literal: true

require_relative 'clusters'
require_relative 'fake'
require_relative 'relay'

# What networks do to connections: cut, freeze, hold, slow down and damage them. Whoever waits for a cluster
# goes on, and has it soon after the registry can be reached. Times are a tenth of the real ones.
class TestNetwork < Minitest::Test
  include Clusters

  FASTER = 10
  FAST = Xlreg::Timing::DEFAULT.faster(FASTER)
  # From the moment when the registry can be reached and the cluster is full to the roster.
  GOAL = 35.0 / FASTER
  SLACK = 10.0 # of a machine that does much else

  def plan(cred, node, **more)
    timing = more.delete(:timing) || FAST
    options = Xlreg::Options.of(cred, node: node, protocol: more.delete(:protocol), timing: timing)
    ref = Xlreg::ClusterRef.of('web')
    Xlreg::Plan.new(options: options, ref: ref, size: 2, **more)
  end

  # Forms in a thread of its own, and tells each step to a queue.
  def member(cred, number, seconds: nil, **more)
    told = Queue.new
    node = node(number, endpoints: ["127.0.0.1:#{7001 + number}"])
    forming = Thread.new do
      Xlreg::Formation.new(plan(cred, node, **more), told.method(:push)).run(Xlreg::Limit.new(seconds))
    end
    [forming, told]
  end

  def until_told(queue)
    loop do
      now = queue.pop
      return now if yield now
    end
  end

  def seconds
    began = Xlreg::Clock::REAL.now
    yield
    Xlreg::Clock::REAL.now - began
  end

  # Lets m0 wait behind a relay, has the block do something to that, completes the cluster, and makes sure that
  # m0 has it soon.
  def complete_after(registry, relay, protocol)
    waiting, told = member(relay.cred, 0, protocol: protocol)
    until_told(told, &:roster)
    yield
    joined = member(registry.reg_cred, 1, protocol: protocol)[0].value
    took = seconds { assert_equal %w[m0 m1], waiting.value.roster.members.map(&:name).sort }
    assert_operator took, :<, GOAL + SLACK
    assert_equal 2, joined.roster.members.size
  end

  %w[2.0 1.9 1.8].each do |protocol|
    define_method("test_a_relay_that_forgets_its_connections_over_#{protocol}") do
      leaving_nothing_open do
        with_registry do |registry|
          Relay.run(registry.cred) { |relay| complete_after(registry, relay, protocol) { relay.freeze_connections } }
        end
      end
    end
  end

  # The machine comes back, and nobody tells those who were connected.
  def test_a_power_cycle
    Dir.mktmpdir do |folder|
      registry = Xlreg::RegistryProcess.new(data: File.join(folder, 'data')).start
      Relay.run(registry.cred) do |relay|
        complete_after(registry, relay, '2.0') do
          relay.freeze_connections
          registry.kill
          registry.start
        end
      end
    ensure
      registry&.close
    end
  end

  def test_an_address_that_is_gone_and_comes_back
    with_registry do |registry|
      Relay.run(registry.cred) do |relay|
        complete_after(registry, relay, '2.0') do
          relay.freeze_connections
          relay.shut
          sleep(GOAL) # longer than anything waits
          relay.open
        end
      end
    end
  end

  [0.5, GOAL].each do |length|
    define_method("test_a_hole_of_#{length}_seconds") do
      with_registry do |registry|
        Relay.run(registry.cred) do |relay|
          complete_after(registry, relay, '2.0') { relay.hold { sleep(length) } }
        end
      end
    end
  end

  # Dialling and waiting are one to whoever gives no deadline.
  def test_no_deadline_is_none_for_dialling_either
    with_registry do |registry|
      Relay.run(registry.cred) do |relay|
        relay.shut
        timing = FAST.with(dial: 0.01)
        waiting, told = member(relay.cred, 0, timing: timing)
        5.times { assert_kind_of Xlreg::UnreachableError, until_told(told, &:error).error }
        relay.open
        assert_equal 'web', member(relay.cred, 1, timing: timing)[0].value.cluster.name
        assert_equal 2, waiting.value.roster.members.size
      end
    end
  end

  def test_a_reader_goes_on_as_well
    with_registry do |registry|
      Relay.run(registry.cred) do |relay|
        first, told = member(registry.reg_cred, 0)
        until_told(told, &:roster)
        heard = Queue.new
        options = Xlreg::Options.of(relay.cred.url, timing: FAST)
        reader = Xlreg::Awaiting.new(options, Xlreg::ClusterRef.of('web'), 0, heard.method(:push))
        reading = Thread.new { reader.run(Xlreg::Limit.new(nil)) }
        until_told(heard, &:roster)
        relay.freeze_connections
        member(registry.reg_cred, 1)[0].join
        assert_equal %w[m0 m1], reading.value.members.map(&:name).sort
        first.join
      end
    end
  end

  # A fake registry in which m1 is a member already.
  def with_fake(protocol)
    FakeRegistry.run(protocol) do |fake|
      me = node(0, endpoints: ['127.0.0.1:7001'])
      fake.know(me)
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      yield fake, me
    end
  end

  def form_once(cred, node, protocol, timing)
    plan = plan(cred, node, protocol: protocol, timing: timing)
    Xlreg::Formation.new(plan, nil).run(Xlreg::Limit.new(PATIENCE)).roster.members.map(&:name)
  end

  # How many bytes a registry sends on the way to a roster.
  def length_of(fake, node, protocol)
    Relay.run(fake.cred) do |relay|
      form_once(relay.cred, node, protocol, FAST)
      return relay.counts[0]
    end
  end

  # Forms again and again, as many times as there are places some bytes apart; on the first connection the block
  # has its way with each.
  def at_every_place(protocol, step, way: :down)
    with_fake(protocol) do |fake, node|
      timing = FAST.with(answer: 0.5, stall: 0.5)
      (0..length_of(fake, node, protocol)).step(step) do |place|
        damage = ->(number, at, data) { number.zero? ? yield(place - at, data) : data }
        Relay.run(fake.cred, way => damage) do |relay|
          assert_equal %w[m0 m1], form_once(relay.cred, node, protocol, timing), "byte #{place}"
        end
      end
    end
  end

  %w[2.0 1.9 1.8].each do |protocol|
    define_method("test_a_connection_cut_at_every_place_over_#{protocol}") do
      at_every_place(protocol, 250) do |left, data|
        left < data.bytesize ? nil : data
      end
    end
  end

  def flipped(data, place)
    return data unless place.between?(0, data.bytesize - 1)

    data.dup.tap { |copy| copy.setbyte(place, copy.getbyte(place) ^ 0x10) }
  end

  # The other end says so with an alert, too.
  %i[down up].each do |way|
    define_method("test_a_byte_that_is_damaged_on_the_way_#{way}") do
      at_every_place('2.0', 700, way: way) { |place, data| flipped(data, place) }
    end

    define_method("test_a_byte_that_is_damaged_on_the_way_#{way}_where_nothing_detects_it") do
      at_every_place('1.9', 700, way: way) { |place, data| flipped(data, place) }
    end
  end

  # Such a roster takes longer than anything may stall, but it moves.
  def test_a_slow_line
    with_fake('2.0') do |fake, node|
      30.times { |i| fake.join(node(1, name: "n#{i}"), Xlreg::NodeID.new([i].pack('C') * 20)) }
      timing = FAST.with(stall: 0.4, answer: 0.4)
      Relay.run(fake.cred, rate: 30_000) do |relay|
        names = nil
        took = seconds do
          options = Xlreg::Options.of(relay.cred, timing: timing)
          Xlreg::Dialogue.open(options, Xlreg::Limit.new(PATIENCE)) do |dialogue|
            names = dialogue.members(Xlreg::ClusterRef.of('web'), Xlreg::Limit.new(nil)).members.map(&:name)
          end
        end
        assert_equal 31, names.size
        assert_operator took, :>, 2 * timing.stall
      end
      assert_equal 'm0', node.name
    end
  end

  # It may trickle, but not for ever.
  def test_a_message_that_never_ends
    timing = FAST.with(message: 0.5)
    trickle = lambda do |tls|
      tls.write("\0\x10\0\0".b)
      loop { tls.write('x') && sleep(0.05) }
    end
    handshake = ->(socket) { trickle.call(Handshakes.tls.call(socket)[0]) }
    FakeRegistry.run('2.0', handshake: handshake) do |fake|
      Xlreg::Dialogue.open(Xlreg::Options.of(fake.cred, timing: timing), Xlreg::Limit.new(nil)) do |dialogue|
        took = seconds { assert_raises(Xlreg::SessionEndedError) { dialogue.registry(Xlreg::Limit.new(nil)) } }
        assert_operator took, :<, 0.5 + SLACK
      end
    end
  end

  # The system itself finds out about a peer that is gone.
  def test_every_connection_is_kept_alive
    TCPServer.open('127.0.0.1', 0) do |server|
      endpoint = Xlreg::Endpoint.new("127.0.0.1:#{server.local_address.ip_port}")
      transport = Xlreg::Transport.connect(endpoint, Xlreg::Limit.new(PATIENCE), Xlreg::Timing::DEFAULT)
      socket = transport.instance_variable_get(:@socket)
      assert socket.getsockopt(:SOCKET, :KEEPALIVE).bool
      options = %i[KEEPIDLE KEEPINTVL KEEPCNT].map { |name| socket.getsockopt(:TCP, name).int }
      assert_operator options[0] + (options[1] * options[2]), :<=, 30
      assert_operator socket.getsockopt(:TCP, Socket::TCP_USER_TIMEOUT).int, :<=, 30_000
    ensure
      transport&.close
    end
  end

  # The registry was full when the time was up, and this node had its place in it.
  def test_the_error_at_the_deadline_says_where_one_stands
    with_fake('2.0') do |fake, node|
      error = in_vain(fake, node)
      assert_equal [true, 0], [error.joined?, error.index]
      assert_match(/1 of 2 members joined.*this node has joined, with index 0; registry last heard/, error.message)
      assert_match(/nobody at index 1; joined: m0 at/, error.message)

      fake.script[FakeRegistry::Op::GET_CLUSTER] = ->(_) {}
      error = in_vain(fake, node)
      assert_equal [true, nil], [error.joined?, error.index]
      assert_match(/this node has joined; registry last heard/, error.message)

      fake.script[FakeRegistry::Op::JOIN] = ->(_) {}
      assert_match(/this node asked to join, and no answer came/, in_vain(fake, node).message)
      fake.script[FakeRegistry::Op::MEMBER] = ->(_) {}
      assert_match(/this node has not joined; registry last heard/, in_vain(fake, node).message)
    end
  end

  def test_the_error_at_the_deadline_of_a_registry_that_was_never_there
    gone = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: "SHA256:#{'A' * 43}")
    error = assert_raises(Xlreg::IncompleteError) do
      Xlreg.form(gone, node: node(0, endpoints: ['127.0.0.1:1']), cluster: 'web', size: 2, timeout: 0.1)
    end
    assert_match(/2 members wanted, none heard of.*this node has not joined; registry never heard/, error.message)
  end

  # Forms until its time is up, which is when something has been tried again or a roster came; nobody else is there.
  def in_vain(fake, node)
    fake.tokens.clear
    clock = Hand.new
    heard = ->(_) { clock.now += 2 * PATIENCE }
    assert_raises(Xlreg::IncompleteError) do
      Xlreg::Formation.new(plan(fake.cred, node), heard).run(clock.limit(PATIENCE))
    end
  end

  def test_a_name_that_the_resolver_does_not_find_in_time
    look = ->(*) { sleep }
    Addrinfo.stub(:getaddrinfo, look) do
      target = Xlreg::Target.new(endpoints: ['slow.example:1'], fingerprint: "SHA256:#{'A' * 43}")
      took = seconds { assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(target, timeout: 0.2) } }
      assert_operator took, :<, SLACK
    end
  end
end
