# frozen_string_literal: true

require_relative 'formations'

# What networks do to connections as a whole: cut, freeze and hold them. Whoever waits for a cluster goes on, and
# has it soon after the registry can be reached.
class TestNetwork < Minitest::Test
  include Formations

  # Lets m0 wait behind a relay, has the block do something to that, completes the cluster, and makes sure that
  # m0 has it soon.
  def complete_after(registry, relay, protocol, cred: relay.cred)
    waiting, told = member(cred, 0, protocol: protocol)
    until_told(told, &:roster)
    yield
    joined = member(registry.reg_cred, 1, protocol: protocol)[0].value
    took = seconds { assert_equal %w[m0 m1], waiting.value.roster.members.map(&:name).sort }
    assert_operator took, :<, GOAL + SLACK
    puts format('%<name>s: %<took>.1f s', name: name, took: took) if LONG
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
      registry = Xlreg::RegistryProcess.new(data: File.join(folder, 'data'), listen: own_address).start
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

  [5, 60].each do |seconds|
    define_method("test_a_hole_of_#{seconds}_seconds") do
      with_registry do |registry|
        Relay.run(registry.cred) do |relay|
          complete_after(registry, relay, '2.0') { relay.hold { sleep(seconds.fdiv(FASTER)) } }
        end
      end
    end
  end

  # For a while connections come about, and then nothing is heard on them any more.
  def mute_for_a_while(relay)
    relay.freeze_connections
    relay.mute = true
    sleep(GOAL)
    relay.mute = false
  end

  def test_handshakes_that_stall
    with_registry do |registry|
      Relay.run(registry.cred) do |relay|
        complete_after(registry, relay, '2.0') { mute_for_a_while(relay) }
      end
    end
  end

  # Here nothing comes of all other endpoints, before and after.
  def test_handshakes_that_stall_at_all_endpoints_but_the_last
    with_registry do |registry|
      silent = Array.new(8) { TCPServer.new('127.0.0.1', 0) }
      dead = silent.map { |server| "127.0.0.1:#{server.local_address.ip_port}" }
      Relay.run(registry.cred, besides: dead) do |relay|
        complete_after(registry, relay, '2.0') { mute_for_a_while(relay) }
      end
    ensure
      silent.each(&:close)
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
    names = Queue.new
    Addrinfo.stub(:getaddrinfo, ->(*) { names.pop }) do
      target = Xlreg::Target.new(endpoints: ['slow.example:1'], fingerprint: "SHA256:#{'A' * 43}")
      took = seconds { assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(target, timeout: 0.2) } }
      assert_operator took, :<, SLACK
    end
  ensure
    names.close
  end
end
