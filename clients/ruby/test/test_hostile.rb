# frozen_string_literal: true

require_relative 'fake'
require_relative 'hand'

# Registries that misbehave: the right exception, and no file descriptor left open.
class TestHostile < Minitest::Test
  include Real

  Op = FakeRegistry::Op
  CLUSTER = FakeRegistry::CLUSTER
  CLASSIC = [Xlreg::Protocol::V18, Xlreg::Protocol::V19].freeze
  STEPS = {
    Op::MEMBER => :register.to_proc, Op::CREATE => ->(client) { client.create('web', size: 2) },
    Op::JOIN => ->(client) { client.join('web') }, Op::GET_CLUSTER => ->(client) { client.members('web') },
    Op::REG_CRED_REQUEST => :registry.to_proc, Op::LEAVE => ->(client) { client.leave('web') }
  }.freeze
  EVERY = Xlreg::Protocol::ALL.product(STEPS.keys).reject { |protocol, op| op == Op::LEAVE && protocol.classic? }

  # Defines a test for each step of a session over each protocol.
  def self.at_every_step(name, &)
    EVERY.each do |protocol, op|
      define_method("test_#{name}_at_#{Op.name(op)}_over_#{protocol}") { instance_exec(protocol, op, &) }
    end
  end

  def client(fake, **more, &)
    Xlreg::Client.open(fake.cred, **{ node: node(0), protocol: fake.protocol, timeout: PATIENCE }.merge(more), &)
  end

  # Takes a step with a registry that follows a script; returns what that fails with.
  def fails_at(protocol, code, kind, **more, &answer)
    leaving_nothing_open do
      FakeRegistry.run(protocol, { code => answer }) do |fake|
        client(fake, **more) { |client| return assert_raises(kind) { STEPS.fetch(code).call(client) } }
      end
    end
  end

  # Makes sure that no session comes about with such a handshake, and returns why. It is tried until the time is
  # up, which passes in pauses alone, so that no try is cut short where a machine is busy.
  def no_session(protocol, handshake, kind: Xlreg::HandshakeError, limit: Hand.new.limit(1))
    leaving_nothing_open do
      FakeRegistry.run(protocol, handshake: handshake) do |fake|
        options = Xlreg::Options.of(fake.cred, node: node(0), protocol: fake.protocol)
        error = assert_raises(Xlreg::Error) { Xlreg::Dialogue.open(options, limit) { flunk } }
        failures = error.is_a?(Xlreg::UnreachableError) ? error.failures : [error]
        refute_empty failures
        failures.each { |failure| assert_instance_of kind, failure }
        assert_empty fake.said
        return failures.last
      end
    end
  end

  { closes: :closes, answers_short: :short_reply, has_another_salt: :wrong_salt,
    has_another_key: :wrong_key, talks_nonsense: :talks_nonsense }.each do |name, how|
    CLASSIC.each do |protocol|
      define_method("test_a_registry_that_#{name}_over_#{protocol}") { no_session(protocol, Handshakes.send(how)) }
    end
  end

  def test_no_tls_when_the_registry_closes = no_session('2.0', Handshakes.closes)

  Xlreg::Protocol::ALL.each do |protocol|
    define_method("test_a_registry_that_says_nothing_over_#{protocol}") do
      no_session(protocol, Handshakes.silent, limit: Xlreg::Limit.new(0.3))
    end
  end

  # No server does that, so the connection may be at fault.
  def test_another_application_protocol_than_was_offered = no_session('2.0', Handshakes.tls(alpn: 'h2'))

  { 'another_key' => { signer: FakeRegistry::OTHER }, 'a_ca' => { authority: 'TRUE' },
    'the_usage_of_clients' => { usage: 'clientAuth' } }.each do |name, options|
    define_method("test_a_registry_with_#{name}_is_not_trusted") do
      handshake = Handshakes.tls(**options)
      no_session('2.0', handshake, kind: Xlreg::UntrustedError)
      FakeRegistry.run('2.0', handshake: handshake) do |fake|
        assert_raises(Xlreg::UntrustedError) { Xlreg::Client.open(fake.cred.url, timeout: PATIENCE) }
      end
    end
  end

  # It may be this machine's clock, so it is tried until time is up.
  def test_a_registry_with_dates_that_do_not_hold
    [{ days: 0 }, { since: Time.now + 86_400 }].each do |dates|
      error = no_session('2.0', Handshakes.tls(**dates), kind: Xlreg::ClockError)
      assert_match(/clock/, error.message)
    end
    no_session('2.0', Handshakes.tls(days: 0, signer: FakeRegistry::OTHER), kind: Xlreg::UntrustedError)
    no_session('2.0', Handshakes.tls(days: 0, authority: 'TRUE'), kind: Xlreg::UntrustedError)
  end

  def test_a_fingerprint_alone_takes_the_key_from_the_chain
    FakeRegistry.run('2.0') do |fake|
      Xlreg::Client.open(fake.cred.url, node: node(0)) { |client| assert_equal CLUSTER, client.create('web', size: 2) }
    end
    FakeRegistry.run('2.0', sig: FakeRegistry::OTHER) do |fake|
      assert_raises(Xlreg::UntrustedError) { Xlreg::Client.open(fake.cred.url, timeout: PATIENCE) }
    end
  end

  # In TLS 1.3 that shows only after the client's end of the handshake is through.
  def test_a_registry_that_refuses_the_certificate
    10.times do
      leaving_nothing_open do
        FakeRegistry.run('2.0', handshake: Handshakes.tls(admit: false)) do |fake|
          error = assert_raises(Xlreg::HandshakeError) { client(fake, &:register) }
          assert_match(/refused by the registry: tlsv1 alert unknown ca/, error.message)
        end
      end
    end
  end

  at_every_step('a_lost_connection') do |protocol, op|
    fails_at(protocol, op, Xlreg::SessionEndedError) { nil }
  end

  at_every_step('another_reply') do |protocol, op|
    error = fails_at(protocol, op, Xlreg::ProtocolError) { FakeRegistry.reply(Op::ACK) }
    assert_match(/Ack in answer to #{Op.name(op)}/, error.message)
  end

  # A LeaveReply holds nothing that is read.
  at_every_step('an_empty_reply') do |protocol, op|
    fails_at(protocol, op, Xlreg::ProtocolError) { FakeRegistry.reply(op + 1) } unless op == Op::LEAVE
  end

  Xlreg::KINDS.each do |code, kind|
    at_every_step("error_#{code}") do |protocol, op|
      error = fails_at(protocol, op, kind) { FakeRegistry.error(kind.new('why', retry_after: 1.5)) }
      assert_equal [1.5, 'why'], [error.retry_after, error.detail]
    end
  end

  { 'too long' => [(4 << 20) + 1].pack('N'), 'gigabytes' => "\xFF\xFF\xFF\xFF".b, 'empty' => "\0\0\0\0".b,
    'garbage' => "\0\0\0\4\xFF\xFF\xFF\xFF".b, 'no Op' => "\0\0\0\2\x10\0".b }.each do |name, bytes|
    STEPS.each_key do |op|
      define_method("test_a_frame_that_is_#{name}_at_#{Op.name(op)}") do
        fails_at('2.0', op, Xlreg::ProtocolError) { bytes }
      end
    end
  end

  # It might still become a message, so the session ends when time is up.
  CLASSIC.product([32, 17, 20_000]).each do |protocol, size|
    define_method("test_#{size}_bytes_that_are_no_message_over_#{protocol}") do
      FakeRegistry.run(protocol, { Op::MEMBER => ->(_) { "\0".b * size } }) do |fake|
        client(fake) { |one| assert_raises(Xlreg::SessionEndedError) { one.register(timeout: 1) } }
      end
    end
  end

  Xlreg::Protocol::ALL.each do |protocol|
    define_method("test_silence_is_given_up_over_#{protocol}") do
      leaving_nothing_open do
        FakeRegistry.run(protocol, { Op::MEMBER => ->(_) { :silence } }) do |fake|
          client(fake) do |one|
            assert_raises(Xlreg::SessionEndedError) { one.register(timeout: 1) }
            assert_raises(Xlreg::SessionEndedError) { one.members }
          end
        end
      end
    end
  end

  { 'another name' => [Op::JOIN, { name: 'other' }, ->(client) { client.join('web') }, Xlreg::ProtocolError],
    'another ID' => [Op::JOIN, { id: Xlreg::ClusterID.new('x' * 32) }, ->(client) { client.join(CLUSTER.id) },
                     Xlreg::ProtocolError],
    'another size' => [Op::CREATE, { size: 3 }, STEPS[Op::CREATE], Xlreg::ClusterSizeError],
    '1025 members' => [Op::CREATE, { size: 1025 }, STEPS[Op::CREATE], Xlreg::ProtocolError],
    '17 endpoints' => [Op::CREATE, { endpoint_count: 17 }, STEPS[Op::CREATE], Xlreg::ProtocolError],
    'a bad name' => [Op::CREATE, { name: 'a b' }, STEPS[Op::CREATE], Xlreg::ProtocolError] }.each do |name, row|
    define_method("test_a_reply_about_#{name}") do
      op, change, step, kind = row
      answer = ->(_) { FakeRegistry.cluster_reply(op + 1, CLUSTER.with(**change)) }
      FakeRegistry.run('2.0', { op => answer }) { |fake| client(fake) { |one| assert_raises(kind) { step.call(one) } } }
    end
  end

  # What a registry could do to a roster, and what a member says of it.
  FORGERIES = {
    'name' => [->(raw) { raw.Tokens[1].Name = 'evil' }, Xlreg::BadSignatureError],
    'endpoint' => [->(raw) { raw.Tokens[1].MyEnds[0] = '203.0.113.66:1' }, Xlreg::BadSignatureError],
    'attrs' => [->(raw) { raw.Tokens[1].Attrs = 1 }, Xlreg::BadSignatureError],
    'key' => [->(raw) { raw.Tokens[1].SigKey = Xlreg::PublicKey.der(FakeRegistry::OTHER) }, Xlreg::BadSignatureError],
    'signature' => [->(raw) { raw.Tokens[1].DigSig2 = "\0" * 256 }, Xlreg::BadSignatureError],
    'certificate' => [->(raw) { raw.Tokens[1].Certificate = raw.Tokens[0].Certificate }, Xlreg::BadSignatureError],
    'ID' => [->(raw) { raw.Tokens[1].ID = 'short' }, Xlreg::ProtocolError],
    'token missing' => [->(raw) { raw.Tokens.replace([raw.Tokens[0]]) }, Xlreg::ProtocolError],
    'member twice' => [->(raw) { raw.Tokens.replace([raw.Tokens[0]] * 2) }, Xlreg::ProtocolError],
    'some proofs' => [->(raw) { raw.Tokens[1].CommsSig = '' }, Xlreg::BadSignatureError],
    'no proofs' => [->(raw) { %w[DigSig2 Certificate CommsSig].each { |one| raw.Tokens[1][one] = '' } },
                    Xlreg::UnverifiedError],
    'comms key' => [->(raw) { raw.Tokens[1].CommsKey = raw.Tokens[0].CommsKey }, Xlreg::BadSignatureError],
    'labels' => [->(raw) { raw.Tokens[1].Labels = Xlreg::Labels.encode('role' => 'x') }, Xlreg::BadSignatureError],
    'run' => [->(raw) { raw.Tokens[1].Run = 'another' }, nil],
    'impossible index' => [->(raw) { raw.WhichSet = raw.SeatSet = "\x01\x01" }, Xlreg::ProtocolError],
    'seat that is not taken' => [->(raw) { raw.SeatSet = "\x01" }, Xlreg::ProtocolError],
    'another cluster' => [->(raw) { raw.ClusterID = 'x' * 32 }, Xlreg::ProtocolError]
  }.freeze

  FORGERIES.each do |name, (change, kind)|
    define_method("test_a_roster_with_a_forged_#{name}") do
      assert_raises(Xlreg::ProtocolError, *kind) { form_with_forged(change) }
      next if kind == Xlreg::ProtocolError

      lie = ->(message) { FakeRegistry.finish(message) } # has the right sum to it
      kind ? assert_raises(kind) { form_with_forged(change, lie) } : form_with_forged(change, lie)
    end
  end

  Xlreg::Protocol::ALL.each do |protocol|
    define_method("test_whether_a_session_outlives_an_error_over_#{protocol}") do
      refusal = ->(_) { FakeRegistry.error(Xlreg::NoSuchClusterNameError.new) }
      FakeRegistry.run(protocol, { Op::JOIN => refusal }) do |fake|
        me = node(0)
        client(fake, node: me) do |one|
          assert_equal FakeRegistry::NODE_ID, one.register
          assert_raises(Xlreg::NoSuchClusterNameError) { one.join('web') }
          next assert_equal(CLUSTER, one.cluster('web')) unless protocol.classic?

          assert_raises(Xlreg::SessionEndedError) { one.cluster('web') }
        end
      end
    end
  end

  # A call waits for its turn, no longer than it may; close ends the one that has it.
  def test_close_ends_what_is_under_way
    asked = Queue.new
    leaving_nothing_open do
      FakeRegistry.run('2.0', { Op::GET_CLUSTER => ->(message) { asked.push(message) && :silence } }) do |fake|
        client = client(fake)
        waiting = Thread.new { assert_raises(Xlreg::SessionEndedError) { client.wait('web', size: 2) } }
        asked.pop
        assert_raises(Xlreg::DeadlineError) { client.registry(timeout: 0.05) }
        client.close
        waiting.join
        assert_raises(Xlreg::SessionEndedError) { client.registry }
        client.close
      end
    end
  end

  def test_a_call_that_is_given_up_ends_the_session
    asked = Queue.new
    FakeRegistry.run('2.0', { Op::GET_CLUSTER => ->(message) { asked.push(message) && :silence } }) do |fake|
      client(fake) do |client|
        waiting = Thread.new { client.wait('web', size: 2) }
        asked.pop
        waiting.kill.join
        assert_raises(Xlreg::SessionEndedError) { client.registry }
      end
    end
  end

  def test_old_credentials_are_no_reason_to_fall_back
    FakeRegistry.run('2.0') do |fake|
      old = Xlreg::RegCred.parse(fake.cred.to_s.sub('Version: 2.0', 'Version: 1.9.20'))
      error = assert_raises(Xlreg::OriginalRegistryError) { Xlreg::Client.open(old, node: node(0)) }
      assert_match(/choose protocol 1.9, or 2.0/, error.message)
      Xlreg::Client.open(old, protocol: '2.0') { |one| assert_equal Xlreg::Protocol::V20, one.protocol }
    end
  end

  # Has a cluster formed with a roster that somebody has changed, and lied about then.
  def form_with_forged(forge, lie = ->(message) { message })
    FakeRegistry.run('2.0') do |fake|
      me = node(0, endpoints: ['127.0.0.1:7001'])
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      fake.script[Op::GET_CLUSTER] = ->(_) { fake.roster.tap { |roster| forge.call(roster.raw) && lie.call(roster) } }
      Xlreg.form(fake.cred, node: me, cluster: 'web', size: 2, timeout: PATIENCE)
    end
  end
end
