# frozen_string_literal: true

require_relative 'real'
require_relative 'vectors'

# Servers that are not what they should be: the right exception, and no file descriptor left open.
class TestHostile < Minitest::Test
  include Real

  Op = Xlreg::Wire::Op
  Message = Xlreg::Wire::Message
  ID = ("\x01" * 20).b
  COMMS = Vectors.key('registry-comms')
  SIG = Vectors.key('registry-sig')
  REPLIES = {
    Op::MEMBER => { Op: Op::MEMBER_OK, MemberID: ID },
    Op::CREATE => { Op: Op::CREATE_REPLY, ClusterID: ID, ClusterName: 'web', ClusterMaxSize: 2, EndPointCount: 1 },
    Op::JOIN => { Op: Op::JOIN_REPLY, ClusterID: ID, ClusterName: 'web', ClusterMaxSize: 2, EndPointCount: 1 },
    Op::GET_CLUSTER => { Op: Op::CLUSTER_MEMBERS, ClusterID: ID, ClusterMaxSize: 2, Which: 0 },
    Op::BYE => { Op: Op::ACK }
  }.freeze
  STEPS = { Op::MEMBER => :register, Op::CREATE => :create, Op::JOIN => :join, Op::GET_CLUSTER => :members }.freeze

  # Runs a server that serves one connection after the other with the block, and yields its credentials.
  def serving(server, sig: SIG)
    listener = TCPServer.new('127.0.0.1', 0)
    thread = Thread.new { loop { serve_one(listener, server) } }
    yield cred(listener.local_address.ip_port, sig)
  ensure
    thread&.kill&.join
    listener&.close
  end

  def serve_one(listener, server)
    connection = listener.accept
    server.call(connection)
  rescue OpenSSL::SSL::SSLError, SystemCallError, EOFError
    nil # the client is gone
  ensure
    connection&.close
  end

  def cred(port, sig)
    Xlreg::RegCred.new(name: 'r', id: Xlreg::NodeID.new(ID), comms_key: Xlreg::PublicKey.der(COMMS),
                       sig_key: Xlreg::PublicKey.der(sig), endpoints: ["127.0.0.1:#{port}"],
                       version: Xlreg::DecimalVersion.new(2))
  end

  # A server of 1.8 or 1.9 that answers each message as the block says; seal makes the HelloReply.
  def classic(seal: ->(hello, reply) { hello.seal(reply) }, &answer)
    lambda do |connection|
      hello = Xlreg::Classic::Hello.decrypt(connection.readpartial(256), COMMS)
      reply = Xlreg::Classic::HelloReply.make(hello.protocol)
      connection.write(seal.call(hello, reply))
      converse(connection, Xlreg::Codec::Cipher.new(reply), answer)
    end
  end

  # A server of 2.0; chain is its certificates, leaf first, and the leaf's key.
  def modern(chain: leaf_and_root, admit: true, &answer)
    lambda do |connection|
      context = OpenSSL::SSL::SSLContext.new
      leaf, key, *rest = chain
      context.add_certificate(leaf, key, rest)
      context.alpn_select_cb = ->(_) { 'xlreg/2' }
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER
      context.verify_callback = ->(*) { admit }
      tls = OpenSSL::SSL::SSLSocket.new(connection, context).accept
      converse(tls, Xlreg::Codec::Framing.new, answer)
    end
  end

  def converse(connection, codec, answer)
    loop do
      codec.feed(connection.readpartial(65_536))
      while (message = codec.next)
        reply = answer.call(message)
        connection.write(reply.is_a?(String) ? reply : codec.encode(reply))
      end
    end
  end

  def leaf_and_root(signer: SIG, key: OpenSSL::PKey::EC.generate('prime256v1'), life: 86_400)
    root = certificate('root', SIG, SIG)
    leaf = certificate('leaf', key, signer, life: life)
    [leaf, key, root]
  end

  def certificate(name, key, signer, life: 86_400)
    made = OpenSSL::X509::Certificate.new
    made.version = 2
    made.serial = 1
    made.subject = OpenSSL::X509::Name.new([['CN', name]])
    made.issuer = OpenSSL::X509::Name.new([%w[CN root]])
    made.public_key = key
    made.not_before = Time.now - 86_400
    made.not_after = Time.now + life
    made.add_extension(OpenSSL::X509::ExtensionFactory.new.create_extension('extendedKeyUsage', 'serverAuth'))
    made.sign(signer, 'SHA256')
  end

  def honest(message) = Message.build(*REPLIES.fetch(message.op).values.first(1), **REPLIES[message.op].except(:Op))

  def client(cred, protocol, timeout: 5, &block)
    Xlreg::Client.open(cred, node: node(0), protocol: protocol, timeout: timeout, &block)
  end

  def refuses(kind, server, protocol, sig: SIG, timeout: 0.5)
    leaving_nothing_open do
      serving(server, sig: sig) do |cred|
        error = assert_raises(Xlreg::Error) { client(cred, protocol, timeout: timeout) { flunk } }
        failures = error.is_a?(Xlreg::UnreachableError) ? error.failures : [error]
        refute_empty failures
        failures.each { |failure| assert_instance_of kind, failure }
      end
    end
  end

  %w[1.8 1.9].each do |generation|
    define_method("test_no_reply_to_the_hello_#{generation}") do
      refuses(Xlreg::HandshakeError, ->(connection) { connection.close }, generation)
      refuses(Xlreg::HandshakeError, ->(connection) { connection.readpartial(1) && connection.read }, generation)
    end

    define_method("test_a_short_reply_to_the_hello_#{generation}") do
      refuses(Xlreg::HandshakeError, ->(c) { c.readpartial(256) && c.write('x' * 40) && c.close }, generation)
    end

    define_method("test_a_server_with_another_key_#{generation}") do
      refuses(Xlreg::HandshakeError, ->(c) { c.readpartial(256) && c.write('x' * 80) }, generation)
    end
  end

  def test_a_reply_with_another_salt
    seal = ->(hello, reply) { hello.with(salt1: 'anothers').seal(reply) }
    refuses(Xlreg::HandshakeError, classic(seal: seal) { flunk }, '1.8')
  end

  def test_a_server_with_another_sig_key
    other = Vectors.key('other-sig')
    refuses(Xlreg::UntrustedError, modern { flunk }, '2.0', sig: other)
    refuses(Xlreg::UntrustedError, modern(chain: leaf_and_root(signer: other)) { flunk }, '2.0')
    refuses(Xlreg::UntrustedError, modern(chain: leaf_and_root(life: -7200)) { flunk }, '2.0')
  end

  def test_a_fingerprint_alone_takes_the_key_from_the_chain
    serving(modern { |message| honest(message) }) do |cred|
      target = Xlreg::Target.parse(cred.url)
      assert_equal('web', Xlreg::Client.open(target, node: node(0)) { |c| c.create('web', size: 2) }.name)
    end
    serving(modern { flunk }, sig: Vectors.key('other-sig')) do |cred|
      assert_raises(Xlreg::UntrustedError) { Xlreg::Client.open(cred.url, timeout: 5) }
    end
  end

  # In TLS 1.3 that shows only after the client's end of the handshake is through.
  def test_a_registry_that_refuses_the_certificate
    10.times do
      leaving_nothing_open do
        serving(modern(admit: false) { flunk }) do |cred|
          error = assert_raises(Xlreg::HandshakeError) { client(cred, '2.0', &:register) }
          assert_match(/refused by the registry: tlsv1 alert unknown ca/, error.message)
        end
      end
    end
  end

  def test_what_is_no_tls
    refuses(Xlreg::HandshakeError, ->(c) { c.readpartial(9) && c.write('HTTP/1.0 400 No') }, '2.0')
    refuses(Xlreg::HandshakeError, ->(c) { c.close }, '2.0')
    refuses(Xlreg::HandshakeError, ->(c) { c.read }, '2.0')
  end

  Xlreg::Protocol::ALL.each do |protocol|
    STEPS.each do |op, step|
      Xlreg::KINDS.each do |code, kind|
        define_method("test_error_#{code}_at_#{step}_over_#{protocol}") do
          answer = lambda do |message|
            next honest(message) unless message.op == op

            Message.build(Op::ERROR, ErrCode: code, ErrDesc: "#{kind::TEXT}: why", RetryMillis: 1500)
          end
          check_error_at(step, kind, protocol, answer)
        end
      end

      define_method("test_another_reply_at_#{step}_over_#{protocol}") do
        fails_at(step, Xlreg::ProtocolError, protocol) do |message|
          message.op == op ? Message.build(Op::ACK) : honest(message)
        end
      end
    end
  end

  def check_error_at(step, kind, protocol, answer)
    error = fails_at(step, kind, protocol, &answer)
    assert_equal [1.5, 'why'], [error.retry_after, error.detail]
  end

  # Goes on until a step, which has to fail; returns the error.
  def fails_at(step, kind, protocol, &)
    leaving_nothing_open do
      serving(protocol.classic? ? classic(&) : modern(&)) do |cred|
        client(cred, protocol) { |client| return assert_raises(kind) { walk(client, step) } }
      end
    end
  end

  def walk(client, last)
    made = nil
    steps = { register: -> { client.register }, create: -> { made = client.create('web', size: 2) },
              join: -> { client.join }, members: -> { client.members(made) } }
    steps.each { |step, go| go.call && (flunk if step == last) }
  end

  def test_broken_frames
    { [(4 << 20) + 1].pack('N') => Xlreg::ProtocolError, "\xFF\xFF\xFF\xFF".b => Xlreg::ProtocolError,
      "\0\0\0\0".b => Xlreg::ProtocolError, "\0\0\0\x01\xFF".b => Xlreg::ProtocolError }.each do |bytes, kind|
      fails_at(:register, kind, Xlreg::Protocol::V20) { bytes }
    end
  end

  def test_strange_content
    { MemberID: 'short' }.each do |field, value|
      fails_at(:register, Xlreg::ProtocolError, Xlreg::Protocol::V20) do |message|
        message.op == Op::MEMBER ? Message.build(Op::MEMBER_OK, field => value) : honest(message)
      end
    end
    strange_rosters.each do |fields|
      fails_at(:members, Xlreg::ProtocolError, Xlreg::Protocol::V20) do |message|
        message.op == Op::GET_CLUSTER ? Message.build(Op::CLUSTER_MEMBERS, **fields) : honest(message)
      end
    end
  end

  def strange_rosters
    token = Xlreg::Wire::Pb::Token.new(Name: 'm', ID: ID)
    [{ ClusterID: ID, Which: 1 }, { ClusterID: ID, Which: 0, Tokens: [token] }, { ClusterID: 'x' },
     { ClusterID: ("\x02" * 20).b }, { ClusterID: ID, ClusterMaxSize: 65 },
     { ClusterID: ID, Which: 3, Tokens: [token, token] },
     { ClusterID: ID, ClusterMaxSize: 2, Which: 4, Tokens: [token] }]
  end

  def test_a_member_without_proof_in_its_signature
    token = Xlreg::Wire::Pb::Token.new(Name: 'm', ID: ID, SigKey: Xlreg::PublicKey.der(SIG), DigSig2: 'x',
                                       Certificate: 'y', CommsKey: Xlreg::PublicKey.der(COMMS))
    fails_at(:members, Xlreg::BadSignatureError, Xlreg::Protocol::V20) do |message|
      next honest(message) unless message.op == Op::GET_CLUSTER

      Message.build(Op::CLUSTER_MEMBERS, ClusterID: ID, Which: 1, Tokens: [token])
    end
  end

  def test_no_answer_in_time
    answers = Queue.new
    leaving_nothing_open do
      serving(modern { answers.pop }) do |cred|
        client(cred, '2.0') do |client|
          assert_raises(Xlreg::SessionEndedError) { client.register(timeout: 0.2) }
          assert_raises(Xlreg::SessionEndedError) { client.members }
        end
      end
    end
  end

  def test_old_credentials_are_no_reason_to_fall_back
    old = Xlreg::RegCred.new(name: 'r', id: Xlreg::NodeID.new(ID), comms_key: Xlreg::PublicKey.der(COMMS),
                             sig_key: Xlreg::PublicKey.der(SIG), endpoints: ['127.0.0.1:1'],
                             version: Xlreg::DecimalVersion.new(1, 9, 20))
    error = assert_raises(Xlreg::OriginalRegistryError) { Xlreg::Client.open(old, node: node(0)) }
    assert_match(/choose protocol 1.9/, error.message)
  end
end
