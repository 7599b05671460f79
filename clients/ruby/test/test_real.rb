# frozen_string_literal: true

require_relative 'real'
require_relative 'hand'

# Creators, members and readers against the real server.
class TestReal < Minitest::Test
  include Real

  %w[2.0 1.9 1.8].each do |generation|
    define_method("test_creator_member_and_reader_over_#{generation}") do
      leaving_nothing_open { with_registry { |registry| converse(registry, generation) } }
    end
  end

  def converse(registry, generation)
    with_client(registry, 0, generation) do |creator|
      id = creator.register
      made = creator.create('web', size: 2)
      assert_equal ['web', 2, 1], [made.name, made.size, made.endpoint_count]
      assert_equal made, creator.join
      with_client(registry, 1, generation) { |member| member.register && member.join('web') }
      roster = creator.wait(timeout: PATIENCE)
      assert_equal %w[m0 m1], roster.members.map(&:name)
      assert_equal [id, roster], [roster.members[0].id, creator.members]
      assert_equal [generation == '2.0'] * 2, roster.members.map(&:verified?)
      assert_equal registry.cred.fingerprint, creator.registry.fingerprint
      assert_raises(Xlreg::Needs20Error) { creator.leave } unless generation == '2.0'
    end
  end

  def with_client(registry, number, generation, &)
    node = node(number, endpoints: ["127.0.0.1:#{7001 + number}"])
    Xlreg::Client.open(registry.reg_cred, node: node, protocol: generation, timeout: PATIENCE, &)
  end

  def test_a_reader_needs_no_node
    with_registry do |registry|
      with_client(registry, 0, '1.9') { |client| client.register && client.create('old', size: 2) && client.join }
      Xlreg::Client.open(registry.url) do |reader|
        assert_equal [false], reader.members('old').members.map(&:verified?)
        assert_raises(Xlreg::IdentityRequiredError) { reader.join('old') }
        assert_raises(Xlreg::NeedsNodeError) { reader.register }
        assert_raises(Xlreg::NoSuchClusterNameError) { reader.cluster('none') }
        assert_equal 2, reader.cluster('old').size # an Error of this kind leaves the session open
      end
      assert_raises(Xlreg::NeedsNodeError) { Xlreg::Client.open(registry.reg_cred, protocol: '1.8') }
    end
  end

  def test_log_in
    node = node(0, endpoints: ['127.0.0.1:7001'])
    with_registry do |registry|
      Xlreg::Protocol::ALL.each do |protocol|
        fresh = node(0)
        open = ->(one) { Xlreg::Client.open(registry.reg_cred, node: one, protocol: protocol) }
        id = open.call(node).then { |client| client.register.tap { client.close } }
        assert_equal(id, open.call(node).then { |client| client.login.tap { client.close } })
        client = open.call(fresh)
        assert_raises(Xlreg::NotRegisteredError) { client.login }
        client.close
      end
    end
  end

  def test_unique_names_and_sizes
    with_registry do |registry|
      with_client(registry, 0, '2.0') do |client|
        client.register
        unique = Xlreg::ClusterAttrs::UNIQUE
        assert_match(/\Aweb-[a-z2-7]{16}\z/, client.create('web', size: 2, attrs: unique).name)
        assert_match(/\Ac-[a-z2-7]{16}\z/, client.create(size: 2).name)
        client.create('web', size: 3)
        error = assert_raises(Xlreg::ClusterSizeError) { client.create('web', size: 2) }
        assert_equal 3, error.cluster.size
        assert_raises(ArgumentError) { client.create('web', size: 1025) }
        client.join('web')
        client.leave
        assert_raises(Xlreg::NotMemberError) { client.leave('web') }
      end
    end
  end

  # By a clock that the test turns, so that the time is up after the second answer however slow the machine is.
  # The registry waits a moment by its own.
  def test_wait_says_who_is_missing
    with_registry do |registry|
      node = node(0, endpoints: ['127.0.0.1:7001'])
      options = Xlreg::Options.of(registry.reg_cred, node: node, timing: Xlreg::Timing::DEFAULT.with(wait: 0.2))
      Xlreg::Dialogue.open(options, Xlreg::Limit.new(nil)) do |dialogue|
        client = Xlreg::Client.new(dialogue)
        client.register
        client.create('web', size: 3)
        client.join
        error = assert_raises(Xlreg::IncompleteError) { wait_for_two_answers(dialogue) }
        assert_equal [3, 2, ['m0']], [error.size, error.missing, error.roster.members.map(&:name)]
        assert_match(/1 of 3 members joined, 2 missing: time is up; .*nobody at index 1, 2; /, error.message)
        assert_match(/; joined: m0 at 127.0.0.1:7001 since/, error.message)
        assert_equal 'web', client.cluster.name # the session goes on
      end
    end
  end

  def wait_for_two_answers(dialogue)
    clock = Hand.new
    rosters = []
    seen = ->(roster) { clock.now += PATIENCE if (rosters << roster).size == 2 }
    waiter = Xlreg::Waiter.new(dialogue, Xlreg::ClusterRef.new, seen: seen, follow: false, look: true)
    waiter.wait(clock.limit(PATIENCE))
  end

  def test_close_ends_a_wait_in_another_thread
    with_registry do |registry|
      with_client(registry, 0, '2.0') do |client|
        client.register
        client.create('web', size: 3)
        waiting = Thread.new { client.wait }
        waiting.report_on_exception = false
        Thread.pass until waiting.status == 'sleep'
        client.close
        assert_raises(Xlreg::SessionEndedError) { waiting.value }
        assert_raises(Xlreg::SessionEndedError) { client.members }
      end
    end
  end

  def test_another_registry_is_not_trusted
    with_registry do |registry|
      url = registry.url.sub(/sig=.*/, "sig=#{'A' * 43}")
      assert_raises(Xlreg::UntrustedError) { Xlreg::Client.open(url, timeout: PATIENCE) }
      other = Xlreg::Target.new(endpoints: registry.cred.endpoints, fingerprint: registry.cred.fingerprint)
      assert_raises(ArgumentError) { Xlreg::Client.open(other, protocol: '1.9', node: node(0)) }
    end
  end

  # Each rule of the registry reaches the caller as an error of its own.
  def test_rules_reach_the_caller
    with_registry do |registry|
      open = ->(number, &block) { with_client(registry, number, '2.0', &block) }
      open.call(0) do |client|
        assert_raises(Xlreg::IdentityRequiredError) { client.create('rules', size: 2) }
        client.register
        assert_raises(Xlreg::NoClusterNamedError) { client.join }
        client.create('rules', size: 2)
        client.join
        assert_raises(Xlreg::NoSuchClusterIDError) { client.members(Xlreg::ClusterID.new("\0" * 20)) }
        assert_raises(Xlreg::ClusterSizeError) { client.wait('rules', size: 3, timeout: PATIENCE) }
        assert_raises(Xlreg::IllFormedNameError) { client.create('a b', size: 2) }
      end
      check_names_and_seats(registry, open)
    end
  end

  def check_names_and_seats(registry, open)
    other = Xlreg::Node.new(name: 'm0', keys: Xlreg::TestHelper.keys(1), endpoints: ['127.0.0.1:1'])
    Xlreg::Client.open(registry.url, node: other) do |client|
      client.register
      assert_raises(Xlreg::MemberNameInUseError) { client.join('rules') }
    end
    bare = node(1)
    Xlreg::Client.open(registry.url, node: bare) do |client|
      client.register
      assert_raises(Xlreg::TooFewEndpointsError) { client.join('rules') }
      bare.update_endpoints(['127.0.0.1:1'])
      error = assert_raises(Xlreg::SessionEndedError) { client.register }
      assert_match(/certificate of the node was renewed/, error.message)
    end
    open.call(1) { |client| client.register && client.join('rules') }
    open.call(2) { |client| assert_raises(Xlreg::ClusterFullError) { client.register && client.join('rules') } }
  end

  # A node that lost its ID has its key, by which the registry knows it.
  def test_a_node_comes_back_to_its_seat
    with_registry do |registry|
      first = with_client(registry, 0, '2.0') do |client|
        client.register.tap { client.create('web', size: 2) && client.join }
      end
      with_client(registry, 0, '2.0') do |client|
        second = client.register
        client.join('web')
        assert_equal [[second], true], [client.members.members.map(&:id), first == second]
      end
    end
  end

  def test_a_classic_log_in_proves_the_key
    with_registry do |registry|
      %w[1.8 1.9].each do |generation|
        node = node(3)
        open = ->(one, &block) { Xlreg::Client.open(registry.reg_cred, node: one, protocol: generation, &block) }
        id = open.call(node, &:register)
        assert_equal id, open.call(node, &:login)
        impostor = Xlreg::Node.new(name: 'm3', keys: Xlreg::TestHelper.keys(4))
        impostor.update_registration(node.registrations[0])
        open.call(impostor) { |client| assert_raises(Xlreg::BadSignatureError) { client.login } }
      end
    end
  end

  def test_what_classic_carriers_cannot_do
    with_registry do |registry|
      with_client(registry, 0, '1.8') do |client|
        client.register
        assert_raises(Xlreg::Needs20Error) { client.create('x', size: 2, attrs: Xlreg::ClusterAttrs::UNIQUE) }
        assert_raises(Xlreg::Needs20Error) { client.leave('x') }
      end
    end
  end

  def test_endpoints_are_tried_in_turn
    with_registry do |registry|
      closed = TCPServer.open('127.0.0.1', 0) { |server| "127.0.0.1:#{server.local_address.ip_port}" }
      right = registry.cred.target
      both = Xlreg::Target.new(endpoints: [closed, *right.endpoints], fingerprint: right.fingerprint)
      Xlreg::Client.open(both) { |client| assert_equal right.fingerprint, client.fingerprint }
      alone = Xlreg::Target.new(endpoints: [closed], fingerprint: right.fingerprint)
      error = assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(alone, timeout: 2) }
      assert_equal 1, error.failures.size
      assert_match(/refused/, error.message)
    end
  end

  # One classic reply cannot hold them all; the client asks for the rest.
  def test_40_members_in_replies_that_hold_fewer
    with_registry do |registry|
      ends = Array.new(4) { |i| "host#{i}.#{'x' * 50}.example.org:#{7000 + i}" }
      40.times do |i|
        node = Xlreg::Node.new(name: "m#{i}", keys: Xlreg::TestHelper.keys(0), endpoints: ends)
        Xlreg::Client.open(registry.reg_cred, node: node, protocol: '1.9') do |client|
          client.register
          client.create('many', size: 40)
          client.join
        end
      end
      %w[2.0 1.9 1.8].each { |generation| check_many(registry, generation) }
    end
  end

  def check_many(registry, generation)
    with_client(registry, 1, generation) do |client|
      client.register
      assert_equal (0...40).map { |i| "m#{i}" }, client.wait('many', timeout: PATIENCE).members.map(&:name)
    end
  end

  # The registry says so and hangs up, in one go: what it said is not lost.
  def test_one_connection_too_many
    with_registry(arguments: ['--max-connections-loopback', '1']) do |registry|
      with_client(registry, 0, '2.0') do |first|
        first.register
        10.times do
          with_client(registry, 1, '2.0') do |second|
            error = assert_raises(Xlreg::TooManyRequestsError) { second.register }
            assert_operator error.retry_after, :>, 0
          end
        end
        first.create('still-here', size: 2)
      end
    end
  end

  # Threads share a client, and take turns.
  def test_a_client_of_many_threads
    with_registry do |registry|
      with_client(registry, 0, '2.0') do |client|
        client.register
        names = Array.new(20) { |i| "c#{i}" }
        made = names.map { |name| Thread.new { client.create(name, size: 2).name } }.map(&:value)
        assert_equal names, made
      end
    end
  end
end
