# frozen_string_literal: true

require_relative 'formations'

# A registry with several servers, as a client sees it: relays to one registry stand for them.
class TestServers < Minitest::Test
  include Formations

  A, B, C = Array.new(3) { |i| Xlreg::Endpoint.new("192.0.2.#{i + 1}:1") }

  # A clock that is turned by hand.
  class Hand < Xlreg::Clock
    attr_accessor :now

    def initialize
      super
      @now = 0.0
    end
  end

  def as_given(**more) = Xlreg::Route.new(random: AsGiven.new, **more)

  # Yields a target with the endpoints of so many relays, and them.
  def with_servers(cred, count = 3)
    relays = Array.new(count) { Relay.new(cred) }
    yield target_of(cred, *relays.map { |relay| relay.cred.endpoints.first }), relays
  ensure
    relays.each(&:close)
  end

  def target_of(cred, *endpoints) = Xlreg::Target.new(endpoints: endpoints, fingerprint: cred.fingerprint)

  # Forms as m0 with the endpoints in their order, and returns the membership and the errors on the way.
  def form_in_order(target, **more)
    told = []
    plan = plan(target, node(0, endpoints: ['127.0.0.1:7001']), timing: Xlreg::Timing::DEFAULT, **more)
    plan = plan.with(options: plan.options.with(route: as_given))
    membership = Xlreg::Formation.new(plan, told.method(:push)).run(Xlreg::Limit.new(PATIENCE))
    [membership, told.filter_map(&:error), plan.options.route]
  end

  def test_sessions_spread
    with_registry do |registry|
      with_servers(registry.cred) do |target, relays|
        # No second one is tried where a busy machine is slow.
        timing = Xlreg::Timing::DEFAULT.with(gap: 60, spread: 600)
        64.times do
          Xlreg::Dialogue.open(Xlreg::Options.of(target, timing: timing), Xlreg::Limit.new(PATIENCE), &:protocol)
        end
        served = relays.map { |relay| relay.counts.size }
        assert_operator served.min, :>, 0
        assert_operator served.max, :<=, 2 * 64 / 3
      end
    end
  end

  def test_a_server_is_killed_while_a_member_waits
    with_registry do |registry|
      with_servers(registry.cred) do |target, relays|
        waiting, told = member(target, 0)
        until_told(told, &:roster)
        first = relays.find { |relay| relay.counts.any? }
        took = seconds do
          first.close
          until_told(told, &:error)
          until_told(told, &:roster)
        end
        assert_operator took, :<, 1 + SLACK
        member(registry.reg_cred, 1)[0].value
        assert_equal 2, waiting.value.roster.members.size
      end
    end
  end

  # It accepts connections, and says nothing. The next session does not begin with it.
  def test_a_hung_server_costs_half_a_second
    with_fake('2.0') do |fake, _|
      TCPServer.open('127.0.0.1', 0) do |mute|
        hung = Xlreg::Endpoint.new("127.0.0.1:#{mute.local_address.ip_port}")
        route = nil
        took = seconds { route = form_in_order(target_of(fake.cred, hung, *fake.cred.endpoints))[2] }
        assert_includes 0.5..9.0, took # with patience for a busy machine, but not for a handshake of 10 s
        assert_equal hung, route.order([hung, *fake.cred.endpoints]).last
      end
    end
  end

  # However long it says to stay away.
  def test_try_later_leads_to_another_server
    with_fake('2.0') do |fake, _|
      stops = Xlreg::TryLaterError.new('the registry is stopping', retry_after: 60.0)
      later = ->(_) { FakeRegistry.error(stops) }
      FakeRegistry.run('2.0', { FakeRegistry::Op::JOIN => later }) do |stopping|
        target = target_of(fake.cred, *stopping.cred.endpoints, *fake.cred.endpoints)
        membership, errors, = form_in_order(target)
        assert_equal 2, membership.roster.members.size
        assert_equal [Xlreg::TryLaterError], errors.map(&:class)
      end
    end
  end

  def test_a_watch_goes_on_with_another_server
    with_registry do |registry|
      until_told(member(registry.reg_cred, 0)[1], &:roster)
      with_servers(registry.cred) do |target, relays|
        changes = Queue.new
        watching = Thread.new { Xlreg.watch(target, 'web') { |change| changes << change } }
        first = changes.pop
        relays.take(2).each(&:close)
        member(registry.reg_cred, 1)[0].value
        second = changes.pop
        assert_equal [%w[m0], %w[m1]], ([first, second].map { |change| change.came.map(&:name) })
        assert_operator second.roster.state.revision, :>, first.roster.state.revision
      ensure
        watching.kill.join
      end
    end
  end

  def test_those_that_failed_come_last
    clock = Hand.new
    route = as_given(clock: clock)
    assert_equal [A, B, C], route.order([A, B, C])
    route.pass_by([A])
    assert_equal [B, C, A], route.order([A, B, C])
    assert_equal [false, 0.0], route.another # nobody has turned the client away
    route.leave(B)
    assert_equal [C, A, B], route.order([A, B, C])
    assert_equal [[true, 0.0], [false, 0.0]], [route.another, route.another] # once for each time
    clock.now = 10.0
    assert_equal [A, B, C], route.order([A, B, C])
  end

  def test_all_have_said_try_later
    route = as_given
    route.order([A, B, C])
    said = [[A, 20.0], [B, 3.0], [C, 90.0]].map do |endpoint, told|
      route.leave(endpoint, told: told)
      route.another
    end
    assert_equal [[true, 0.0], [true, 0.0], [false, 3.0]], said
    assert_equal [A, B, C], route.order([A, B, C])
  end

  def test_an_older_revision_is_believed_after_a_while
    clock = Hand.new
    limit = Xlreg::Limit.new(nil, clock: clock)
    older, newer = [4, 5].map { |revision| Struct.new(:state).new(Struct.new(:revision).new(revision)) }
    age = Xlreg::Age.new
    refute age.behind?(nil, older, limit)
    refute age.behind?(newer, newer, limit)
    assert age.behind?(newer, older, limit)
    clock.now = 2.9
    assert age.behind?(newer, older, limit)
    clock.now = 3.0
    refute age.behind?(newer, older, limit)
  end
end
