# frozen_string_literal: true

require_relative 'fake'
require_relative 'hand'

# Sessions and waits without a socket: bytes in, bytes out, and a clock that is turned by hand.
class TestSession < Minitest::Test
  include Real

  Op = FakeRegistry::Op
  V18 = Xlreg::Protocol::V18
  SAID = [FakeRegistry.reply(Op::ACK), FakeRegistry.cluster_reply(Op::JOIN_REPLY), FakeRegistry.reply(Op::ACK)].freeze

  # Gives a session data in pieces of a size, and returns the operations that it hears.
  def feed(session, data, size)
    (0...data.bytesize).step(size).flat_map do |at|
      session.receive(data.byteslice(at, size))
      heard = []
      while (message = session.next_message)
        heard << message.op
      end
      heard
    end
  end

  %w[1.8 1.9].product([1, 7, 10_000]).each do |generation, size|
    define_method("test_a_session_over_#{generation}_in_pieces_of_#{size}") do
      protocol = Xlreg::Protocol.of(generation)
      session = Xlreg::Session::Classic.new(protocol, Xlreg::PublicKey.der(FakeRegistry::COMMS))
      hello = Xlreg::Classic::Hello.decrypt(session.outgoing, FakeRegistry::COMMS)
      assert_equal [protocol, '', :shaking], [hello.protocol, session.outgoing, session.state]
      check_conversation(session, hello, Xlreg::Classic::HelloReply.make(protocol), size)
    end
  end

  def check_conversation(session, hello, reply, size)
    registry = Xlreg::Codec::Cipher.new(reply)
    stream = hello.seal(reply) + SAID.map { |message| registry.encode(message) }.join
    assert_equal SAID.map(&:op), feed(session, stream, size)
    assert_equal [:open, reply.salt2, false], [session.state, session.salt2, session.partial?]
    session.say(Xlreg::Wire::Requests.bye)
    registry.feed(session.outgoing)
    assert_equal Op::BYE, registry.next.op
    assert_raises(Xlreg::SessionEndedError) { session.closed }
    assert_raises(Xlreg::SessionEndedError) { session.say(Xlreg::Wire::Requests.bye) }
  end

  def test_a_session_that_never_was
    session = Xlreg::Session::Classic.new(V18, Xlreg::PublicKey.der(FakeRegistry::COMMS))
    assert_raises(Xlreg::SessionEndedError) { session.say(Xlreg::Wire::Requests.bye) }
    assert_raises(Xlreg::HandshakeError) { session.receive("\0" * 80) }
    assert_equal :ended, session.state
    again = Xlreg::Session::Classic.new(V18, Xlreg::PublicKey.der(FakeRegistry::COMMS))
    assert_raises(Xlreg::HandshakeError) { again.closed }
  end

  def modern(**more)
    key = Xlreg::PublicKey.der(FakeRegistry::SIG)
    Xlreg::Session::Modern.new(fingerprint: Xlreg::PublicKey.fingerprint(key), **more)
  end

  # Brings a session over 2.0 to where the handshake ends.
  def secure(session, now: Time.now, alpn: 'xlreg/2', **options)
    leaf, _, root = Handshakes.chain(**options)
    session.secured(chain: [leaf.to_der, root.to_der], alpn: alpn, now: now)
    session
  end

  [1, 100, 10_000].each do |size|
    define_method("test_a_session_over_2_0_in_pieces_of_#{size}") do
      session = modern
      assert_raises(Xlreg::SessionEndedError) { session.say(Xlreg::Wire::Requests.bye) }
      secure(session)
      registry = Xlreg::Codec::Framing.new
      assert_equal SAID.map(&:op), feed(session, SAID.map { |message| registry.encode(message) }.join, size)
      session.say(Xlreg::Wire::Requests.bye)
      registry.feed(session.outgoing)
      assert_equal [Op::BYE, ''], [registry.next.op, session.outgoing]
      assert_raises(Xlreg::SessionEndedError) { session.closed }
    end
  end

  def test_half_a_frame_is_partial
    session = secure(modern)
    session.receive("\0\0\0\2\x08".b)
    assert_equal [nil, true], [session.next_message, session.partial?]
    session.receive("\x0C".b)
    assert_equal [Op::ACK, false], [session.next_message.op, session.partial?]
    session.receive("\0\0\0\1\x08".b)
    assert_raises(Xlreg::ProtocolError) { session.next_message }
  end

  # An hour is tolerated.
  def test_a_clock_that_is_wrong
    now = Time.now
    day = 86_400
    [now - day - 3500, now + (6 * day) + 3500].each do |clock|
      assert_predicate secure(modern, now: clock, since: now - day), :open?
    end
    { now - day - 7300 => /not valid before .* behind by 2 hours at least, or the registry's is ahead/,
      now + (10 * day) => /not valid after .* ahead by 4 days at least/,
      Time.at(0) => /this machine's says 1970-01-01T00:00:00Z.* behind by \d{5} days/ }.each do |clock, text|
      error = assert_raises(Xlreg::ClockError) { secure(modern, now: clock, since: now - day) }
      assert_match(text, error.message)
    end
  end

  def test_what_is_not_trusted
    attempts = [{ alpn: nil }, { alpn: 'h2' }, { signer: FakeRegistry::OTHER }]
    attempts.each do |attempt|
      session = modern
      assert_raises(Xlreg::HandshakeError) { secure(session, **attempt) }
      assert_equal :ended, session.state
    end
    assert_raises(Xlreg::UntrustedError) { modern.secured(chain: [], alpn: 'xlreg/2', now: Time.now) }
    other = modern(sig_key: Xlreg::PublicKey.der(FakeRegistry::OTHER))
    assert_raises(Xlreg::UntrustedError) { secure(other) } # the key counts, and not what the chain says
  end

  # A cluster that grows as its list says, told by a server that takes so long for each answer.
  class Growing
    attr_reader :asked, :heard_at

    def initialize(clock, counts, took: 0.0)
      @clock = clock
      @counts = counts
      @took = took
      @asked = []
      @heard_at = 0.0
      token, = Real.node(0).token(protocol: V18)
      @members = Array.new(64) do |i|
        id = Xlreg::NodeID.new([i].pack('C') * 20)
        Xlreg::Member.new(index: i, token: token.with(name: "m#{i}", id: id))
      end
    end

    def receive(_ref, _limit, wait_size:, wait_millis:, **)
      @asked << [wait_size, wait_millis]
      @clock.now += @took
      count = @counts.size > 1 ? @counts.shift : @counts[0]
      Xlreg::Roster.new(cluster: FakeRegistry::CLUSTER.with(size: 4), members: @members.first(count))
    end

    def verify(roster, _key) = roster

    def protocol = Xlreg::Protocol::V20

    def options = Xlreg::Options.new(timing: Xlreg::Timing::DEFAULT.with(wait: 300.0))
  end

  # Waits for a growing cluster.
  def wait(growing, clock, seconds, **more)
    Xlreg::Waiter.new(growing, Xlreg::ClusterRef.new(name: 'web'), **more).wait(clock.limit(seconds))
  end

  # The pauses grow from 50 milliseconds to a second, and begin anew when somebody joins.
  def test_a_wait_polls_a_server_that_cannot_wait
    clock = Hand.new
    roster = wait(Growing.new(clock, [*([1] * 10), *([2] * 3), 4]), clock, 60)
    assert_equal 4, roster.members.size
    wanted = [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1, 1, 0.05, 0.1, 0.2]
    assert_equal wanted.size, clock.slept.size
    wanted.zip(clock.slept) { |most, slept| assert_includes most / 2..most, slept }
  end

  def test_a_wait_makes_one_request_of_a_server_that_waits
    clock = Hand.new
    growing = Growing.new(clock, [4], took: 30)
    wait(growing, clock, 60, size: 3)
    assert_equal [[[3, 59_750]], []], [growing.asked, clock.slept]
  end

  def test_a_wait_asks_again_after_the_longest
    clock = Hand.new
    longest = 300.0
    growing = Growing.new(clock, [1, 1, 4], took: longest)
    wait(growing, clock, nil)
    millis = (longest * 1000).to_i
    assert_equal [[[1024, millis], [4, millis], [4, millis]], []], [growing.asked, clock.slept]
  end

  # Whoever wants to be told is asked for one more each time.
  def test_a_wait_tells_on_the_way
    clock = Hand.new
    growing = Growing.new(clock, [1, 2, 3, 4], took: 2)
    seen = []
    wait(growing, clock, 60, size: 4, seen: ->(roster) { seen << roster.members.size })
    assert_equal [[1, 2, 3, 4], [1, 2, 3, 4]], [seen, growing.asked.map(&:first)]
  end

  def test_a_wait_ends_with_its_limit
    clock = Hand.new
    error = assert_raises(Xlreg::IncompleteError) { wait(Growing.new(clock, [1]), clock, 5) }
    assert_in_delta 5, clock.now, 0.06
    assert_equal 3, error.missing
    assert_match(/\Await for cluster "web": 1 of 4 members joined, 3 missing: time is up/, error.message)
  end

  def test_a_wait_for_more_than_there_can_be
    clock = Hand.new
    assert_raises(Xlreg::ClusterSizeError) { wait(Growing.new(clock, [1]), clock, 5, size: 5) }
  end

  def test_pauses_keep_within_their_limit
    clock = Hand.new
    backoff = Xlreg::Backoff.new(1, 8)
    limit = clock.limit(20)
    assert backoff.pause(limit, least: 10)
    assert_includes 10.5..11, clock.now
    backoff.reset
    refute backoff.pause(limit, least: 60)
    assert_in_delta 20, clock.now
  end

  # Runs a persistence whose attempts fail with these errors, one after the other, and then succeed.
  def persist(errors, seconds: nil, clock: Hand.new)
    told = []
    incomplete = ->(error) { Xlreg::IncompleteError.new(nil, 2, obstacle: error) }
    limit = clock.limit(seconds)
    result = Xlreg::Persistence.new(limit, incomplete: incomplete, tell: told.method(:push), met: -> { false }).run do
      raise errors.shift unless errors.empty?

      :done
    end
    [result, told.map(&:class), clock.slept]
  end

  def test_what_another_session_can_mend
    ended = Xlreg::SessionEndedError
    full = Xlreg::TryLaterError
    result, told, slept = persist([ended.new, full.new(retry_after: 7.0), ended.new])
    assert_equal [:done, [ended, full, ended]], [result, told]
    assert_operator slept[1], :>=, 7
    assert_operator slept.values_at(0, 2).max, :<=, 1
    _, _, slept = persist([full.new(retry_after: 1e6)])
    assert_operator slept[0], :<, 62
  end

  def test_what_no_session_can_mend
    [Xlreg::ClusterFullError, Xlreg::UntrustedError, Xlreg::ProtocolError, Xlreg::HandshakeError].each do |kind|
      assert_raises(kind) { persist([kind.new]) }
    end
    error = assert_raises(Xlreg::IncompleteError) { persist([Xlreg::SessionEndedError.new('gone')] * 50, seconds: 10) }
    assert_match(/gone/, error.obstacle.message)
  end
end
