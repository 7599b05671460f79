# frozen_string_literal: true

require_relative 'vectors'
require_relative 'vector_messages'
require_relative 'vector_owners'
require_relative 'vector_saved'
require_relative 'vector_tokens'
require 'time'

# Runs every file of docs/vectors.
class TestVectors < Minitest::Test
  include VectorMessages
  include VectorOwners
  include VectorSaved
  include VectorTokens

  CARRIERS = { 'tls' => :tls, 'classic' => :classic, 'undecided' => :undecided }.freeze

  def run_text(vector)
    cases = vector['input']['cases']
    refute_empty cases
    check = "check_#{vector['vector'].delete_prefix('text/')}"
    cases.each do |one|
      next send(check, one) if one['ok']

      assert_raises(Xlreg::Error, one['text']) { send(check, one) }
    end
  end

  def check_ids(one)
    [Xlreg::NodeID, Xlreg::ClusterID].each do |kind|
      assert_equal one['hex'], kind.parse(one['text']).to_s
    end
  end

  def check_names(one) = assert_equal(one['text'], Xlreg::Name.check(one['text']))

  def check_endpoints(one)
    endpoint = Xlreg::Endpoint.new(one['text'])
    assert_equal [one['text'], one['host'], one['port']], [endpoint.to_s, endpoint.host, endpoint.port]
  end

  def check_versions(one)
    version = Xlreg::DecimalVersion.parse(one['text'])
    assert_equal one['wire'], [version.to_i].pack('V').unpack1('H*')
    assert_equal one['written'], version.to_s
    assert_equal version, Xlreg::DecimalVersion.from_i(version.to_i)
  end

  def check_errors(one) = assert_equal(one['text'], Xlreg::KINDS.fetch(one['code'])::TEXT)

  def run_key(vector)
    der, = Vectors.unhex(vector['input'], 'der')
    key = Xlreg::PublicKey.parse(der)
    want = vector['want']
    rsa = key.is_a?(OpenSSL::PKey::RSA)
    assert_equal want.values_at('kind', 'bits'), [Xlreg::PublicKey.kind(key), Xlreg::PublicKey.bits(key)]
    assert_equal want['exponent'] || 0, rsa ? key.e.to_i : 0
    rsa ? Xlreg::PublicKey.parse_rsa(der) : assert_raises(Xlreg::PublicKeyError) { Xlreg::PublicKey.parse_rsa(der) }
    modern = -> { Xlreg::PublicKey.parse(der, modern: true) }
    want['modern'] ? modern.call : assert_raises(Xlreg::PublicKeyError, &modern)
  end

  def run_fingerprint(vector)
    der, = Vectors.unhex(vector['input'], 'sig_key')
    assert_equal vector['want']['fingerprint'], Xlreg::PublicKey.fingerprint(der)
    form = Xlreg::PublicKey.to_ssh(der)
    assert_equal vector['want']['ssh'], "ssh-rsa #{[form].pack('m0')}"
    assert_equal der, Xlreg::PublicKey.from_ssh(form)
  end

  def run_url(vector)
    text = vector['input']['text']
    want = vector['want'] || {}
    target = Xlreg::Target.parse(text)
    assert_equal want['endpoints'], target.endpoints.map(&:to_s)
    assert_equal want['fingerprint'], target.fingerprint
    assert_equal want['canonical'] || false, target.url == text
  end

  def run_regcred(vector)
    text = vector['input']['text']
    want = vector['want'] || {}
    cred = parse_reg_cred(text, want['line'])
    assert_equal want.values_at('name', 'id', 'version'), [cred.name, cred.id.to_s, cred.version.to_s]
    assert_equal Vectors.unhex(want, 'comms_key', 'sig_key'), [cred.comms_key, cred.sig_key]
    assert_equal want['endpoints'], cred.endpoints.map(&:to_s)
    assert_equal want.values_at('fingerprint', 'url'), [cred.fingerprint, cred.url]
    assert_equal want['canonical'] || false, cred.to_s == text
  end

  def parse_reg_cred(text, line)
    Xlreg::RegCred.parse(text)
  rescue Xlreg::RegCredError => e
    assert_equal line, e.line if line
    assert_match(/\Aline #{e.line}: /, e.message)
    raise
  end

  def run_detect(vector)
    first, = Vectors.unhex(vector['input'], 'bytes')
    want = vector['want']
    told = (1..first.bytesize).map { |n| Xlreg::Classic.carrier(first.byteslice(0, n)) }
    assert_equal CARRIERS.fetch(want['carrier']), told.last
    assert_equal want['decided_after'], (told.index { |carrier| carrier != :undecided } || -1) + 1
  end

  def run_hello(vector)
    ciphertext, = Vectors.unhex(vector['input'], 'ciphertext')
    want = vector['want'] || {}
    hello = Xlreg::Classic::Hello.decrypt(ciphertext, Vectors.key(vector['input']['key']))
    assert_equal want['generation'], hello.protocol.to_s
    assert_equal Vectors.unhex(want, 'iv1', 'key1', 'salt1', 'plaintext'),
                 [hello.iv1, hello.key1, hello.salt1, hello.text]
    assert_equal want['version1'], Xlreg::DecimalVersion.from_i(hello.version1).to_s
  end

  def run_helloreply(vector)
    source = vector['input']
    want = vector['want'] || {}
    iv1, key1, salt1, wire = Vectors.unhex(source, 'iv1', 'key1', 'salt1', 'wire')
    hello = Xlreg::Classic::Hello.new(protocol: Xlreg::Protocol.of(source['generation']),
                                      key1: key1, salt1: salt1, version1: 0, iv1: iv1)
    reply = hello.open(wire)
    assert_equal Vectors.unhex(want, 'iv2', 'key2', 'salt2'), [reply.iv2, reply.key2, reply.salt2]
    assert_equal want['version2'], Xlreg::DecimalVersion.from_i(reply.version2).to_s
    iv, text = Vectors.unhex(want, 'iv', 'plaintext')
    assert_equal [text, wire], [hello.reply_text(reply), hello.seal(reply, iv: iv)]
  end

  def run_classic(vector)
    key2, iv2 = Vectors.unhex(vector['input'], 'key2', 'iv2')
    wires = vector['input']['wire'].map { |wire| [wire].pack('H*') }
    plains = vector['want']['messages'].map { |message| [message['plain']].pack('H*') }
    broken = vector['layer'] == 'frame'
    [1, 7, 16, 17, 1000, wires.sum(&:bytesize)].uniq.each do |cut|
      opener = Xlreg::Codec::Opener.new(key2, iv2)
      assert_equal plains, opened(opener, wires.join, cut), "cut into #{cut}"
      assert_equal broken, opener.partial?
    end
    raise Xlreg::ProtocolError, 'it never becomes a message' if broken

    sealer = Xlreg::Codec::Sealer.new(key2, iv2)
    assert_equal(wires, plains.zip(wires).map { |text, wire| sealer.seal(text, iv: wire.byteslice(0, 16)) })
  end

  def opened(opener, stream, cut)
    pieces(stream, cut).flat_map do |piece|
      opener.feed(piece)
      texts = []
      while (found = opener.next)
        texts << found[1]
      end
      texts
    end
  end

  def pieces(stream, size) = (0...stream.bytesize).step(size).map { |at| stream.byteslice(at, size) }

  def run_frame(vector)
    stream, = Vectors.unhex(vector['input'], 'bytes')
    limit = vector['input']['from'] == 'client' ? Xlreg::Limits::MAX_REQUEST : Xlreg::Limits::MAX_REPLY
    plains = vector['want']['messages'].map { |message| [message['plain']].pack('H*') }
    refusals = [1, 5, stream.bytesize].map do |cut|
      texts, refusal = frames(stream, limit, cut)
      assert_equal plains, texts
      refusal
    end
    raise refusals.first if refusals.all?

    assert_empty refusals.compact
  end

  # Returns the messages of a stream, and what is wrong at its end.
  def frames(stream, limit, cut)
    framing = Xlreg::Codec::Framing.new(read_max: limit)
    texts = []
    pieces(stream, cut).each do |piece|
      framing.feed(piece)
      while (message = framing.next)
        texts << message.encode
      end
    end
    [texts, framing.partial? ? Xlreg::ProtocolError.new('time is up') : nil]
  rescue Xlreg::ProtocolError => e
    [texts, e]
  end

  def run_serverchain(vector)
    source = vector['input']
    chain = source['chain'].map { |der| [der].pack('H*') }
    sig_key, = Vectors.unhex(source, 'sig_key')
    found = Xlreg::RegistryCertificate.check(chain, sig_key: (sig_key unless sig_key.empty?),
                                                    fingerprint: source['fingerprint'],
                                                    now: Time.iso8601(source['now']))
    want = vector['want']
    assert_equal want.values_at('sig_key', 'next_key', 'next_fingerprint'),
                 [found.pinned.unpack1('H*'), found.next_key&.unpack1('H*'), found.next_fingerprint]
    assert_equal [want['next_until']], [found.next_until&.utc&.iso8601]
  end

  # A registry refuses some of these in the handshake and others when the node registers; both are one here.
  def run_certificate(vector)
    source = vector['input']
    der, sig_key, field9 = Vectors.unhex(source, 'certificate', 'sig_key', 'field9')
    handshake = -> { Xlreg::Certificate.check_self_signed(der) }
    assert_raises(Xlreg::CertificateError, &handshake) if vector['layer'] == 'handshake'
    token = Xlreg::Token.new(name: source['name'], comms_key: sig_key, sig_key: sig_key, certificate: field9,
                             endpoints: Xlreg::Endpoint.all(source['endpoints']))
    Xlreg::Certificate.check(token, der)
    assert_equal [sig_key, field9], [handshake.call, Xlreg::Certificate.field_of(der)]
  rescue Xlreg::CertificateError => e
    raise Xlreg::IllFormedTokenError, e.message
  end

  def run_login(vector)
    source = vector['input']
    sig_key, salt2, id, digsig = Vectors.unhex(source, 'sig_key', 'salt2', 'id', 'digsig')
    id = Xlreg::NodeID.new(id)
    Xlreg::Signatures.verify_login(sig_key, salt2, id, digsig)
    assert_equal digsig, Xlreg::Signatures.sign_login(Vectors.key(source['key']), salt2, id)
  end

  def run_recorded(vector)
    source = vector['input']
    steps = source['steps'].map { |step| [step['from'], [step['wire']].pack('H*')] }
    want = vector['want']['steps'].map { |step| [step['kind'], [step['plain']].pack('H*')] }
    hello = Xlreg::Classic::Hello.decrypt(steps[0][1], Vectors.key(source['key']))
    reply = hello.open(steps[1][1])
    assert_equal source['generation'], hello.protocol.to_s
    assert_equal [['hello', hello.text], ['helloReply', hello.reply_text(reply)]], want.first(2)
    assert_equal want.drop(2), recorded_messages(reply, steps.drop(2))
  end

  def recorded_messages(reply, steps)
    openers = Hash.new { |all, side| all[side] = Xlreg::Codec::Opener.new(reply.key2, reply.iv2) }
    steps.map do |side, wire|
      openers[side].feed(wire)
      message, text = openers[side].next
      verify_recorded(message) if message.name == 'Member'
      [message.name, text]
    end
  end

  # It succeeds, or fails in the way that it says.
  def run_vector(vector)
    kind = vector['vector'].split('/')[0]
    return send("run_#{kind}", vector) if vector['layer'] == 'success'

    error = assert_raises(Xlreg::Error) { send("run_#{kind}", vector) }
    wanted = vector.dig('want', 'error')
    assert_equal wanted.values_at('code', 'text'), [error.code, error.class::TEXT] if wanted
    assert_kind_of Xlreg::HandshakeError, error if vector['layer'] == 'handshake' && kind.start_with?('hello')
  end

  Vectors.index.each do |kind, count|
    Vectors.load(kind).each do |vector|
      define_method("test_#{vector['vector']}") { run_vector(vector) }
    end

    define_method("test_none_of_#{kind}_is_left_out") do
      assert_operator count, :>, 0
      assert_equal count, self.class.instance_methods.grep(%r{\Atest_#{kind}/}).size
    end
  end
end
