# frozen_string_literal: true

require_relative 'fake'

# Where the registry should be there is something else: that can never work, and is an error at once. But what can
# pass, or be damage on the way, is tried again.
class TestOtherServers < Minitest::Test
  include Real

  # Servers of something else: a web server without TLS, with TLS, and others.
  OTHER_SERVERS = {
    'text' => [Handshakes.talks_nonsense, /answers in plain text/],
    'a_greeting' => [->(socket) { socket.write("SSH-2.0-OpenSSH_9.2\r\n") && socket.read && nil }, /in plain text/],
    'tls_alone' => [Handshakes.tls(alpn: nil), /speaks TLS, but not/],
    'an_alert_about_the_protocol' => [->(socket) { Handshakes.alert(socket, 120) }, /no application protocol/],
    'an_alert_about_the_version' => [->(socket) { Handshakes.alert(socket, 70) }, /protocol version/]
  }.freeze

  OTHER_SERVERS.each do |name, (handshake, text)|
    # There is no limit on the time: it ends at once, or never.
    define_method("test_a_server_of_something_else_with_#{name}") do
      FakeRegistry.run('2.0', handshake: handshake) do |fake|
        me = node(0, endpoints: ['127.0.0.1:7001'])
        [-> { Xlreg::Client.open(fake.cred) }, -> { Xlreg.form(fake.cred, node: me, cluster: 'web', size: 2) },
         -> { Xlreg.await(fake.cred, 'web') }].each do |call|
          assert_match(text, assert_raises(Xlreg::NotARegistryError, &call).message)
        end
      end
    end
  end

  # What comes in the clear may have been damaged on the way.
  def test_a_single_refusal_is_no_proof
    answers = OTHER_SERVERS.values_at('text', 'an_alert_about_the_protocol').map(&:first)
    right = Handshakes.tls
    FakeRegistry.run('2.0', handshake: ->(socket) { (answers.shift || right).call(socket) }) do |fake|
      assert_equal FakeRegistry::NODE_ID, Xlreg::Client.open(fake.cred, node: node(0), timeout: PATIENCE, &:register)
    end
  end

  # There is hope while one endpoint leads to nothing yet.
  def test_something_else_at_one_of_two_endpoints
    FakeRegistry.run('2.0', handshake: Handshakes.talks_nonsense) do |fake|
      target = Xlreg::Target.new(endpoints: [*fake.cred.endpoints, '127.0.0.1:1'], fingerprint: fake.cred.fingerprint)
      error = assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(target, timeout: 2) }
      assert_equal [Xlreg::NotARegistryError, Xlreg::HandshakeError], error.failures.map(&:class)
    end
  end

  # A proxy may say something of its own while the registry behind it is started anew.
  def test_something_else_in_the_place_of_a_registry_that_was_there
    handshakes = [Handshakes.tls, *[Handshakes.talks_nonsense] * 3, Handshakes.tls]
    FakeRegistry.run('2.0', { Xlreg::Wire::Op::GET_CLUSTER => ->(_) {} },
                     handshake: ->(socket) { handshakes.shift.call(socket) }) do |fake|
      told = []
      me = node(0, endpoints: ['127.0.0.1:7001'])
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      Xlreg.form(fake.cred, node: me, cluster: 'web', size: 2, timeout: PATIENCE) do |now|
        told << now.error.class if now.error
        fake.script[Xlreg::Wire::Op::GET_CLUSTER] = ->(_) { fake.roster }
      end
      assert_equal [Xlreg::SessionEndedError, Xlreg::NotARegistryError], told
    end
  end
end
