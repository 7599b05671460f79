# frozen_string_literal: true

require_relative 'vectors'
require 'time'

# Bytes off the wire and files from anywhere lead to no other exception than those there are.
class TestFuzz < Minitest::Test
  ROUNDS = 1000
  SIG_KEY = Xlreg::PublicKey.der(Vectors.key('registry-sig'))
  RECORD = '{"version":1,"name":"m0","attrs":4,"endpoints":["a:1"],' \
           "\"registries\":[{\"sig\":\"SHA256:#{'A' * 43}\",\"id\":\"#{'0' * 40}\"}]}".freeze

  # @return [Array<String>] what a member of a class of vectors holds
  def self.seeds(kind, member)
    Vectors.load(kind).filter_map { |vector| vector['input'][member] }.reject(&:empty?).map { |hex| [hex].pack('H*') }
  end

  def self.texts(*kinds) = kinds.flat_map { |kind| Vectors.load(kind).map { |vector| vector['input']['text'] } }

  SEEDS = {
    message: seeds('message', 'plain') + seeds('roster', 'message') + seeds('token', 'message'),
    certificate: seeds('certificate', 'certificate'),
    key: seeds('key', 'der'),
    stream: seeds('frame', 'bytes'),
    reply: seeds('helloreply', 'wire'),
    nested: seeds('admission', 'bytes') + seeds('owner', 'order') + seeds('label', 'bytes') + seeds('set', 'bytes'),
    document: Vectors.load('signed').filter_map { |one| one['input']['documents'][0] }
                     .map { |hex| Xlreg::Der.lp([hex].pack('H*')) },
    ticket: texts('ticket'),
    text: [*texts('regcred', 'url'), RECORD],
    pem: %w[registry-sig small-sig].map { |name| Vectors.key(name).private_to_pem }
  }.freeze

  SEEDS.each do |name, seeds|
    define_method("test_no_other_exception_from_a_#{name}") do
      refute_empty seeds
      random = Random.new(Minitest.seed || 1)
      ROUNDS.times { forgiving { send("read_#{name}", mutation(seeds.sample(random: random).b, random)) } }
    end
  end

  # Returns a seed with a few bytes changed, cut, put in or doubled.
  def mutation(seed, random)
    random.rand(1..4).times.inject(seed) do |data, _|
      at = random.rand(0..data.bytesize)
      length = random.rand(1..8)
      rest = data.byteslice(at..)
      data.byteslice(0, at) + changed(rest, length, random)
    end
  end

  def changed(rest, length, random)
    case random.rand(5)
    when 0 then rest.empty? ? rest : [rest.getbyte(0) ^ (1 << random.rand(8))].pack('C') + rest.byteslice(1..)
    when 1 then rest.byteslice(length..).to_s
    when 2 then random.bytes(length) + rest
    when 3 then rest.byteslice(0, 8 * length) + rest
    else ["\0", "\x01", "\x7F", "\x80", "\xFF"].sample(random: random).b + rest.byteslice(1..).to_s
    end
  end

  # Runs the block; an error of this library is what should come of it.
  def forgiving
    yield
  rescue Xlreg::Error
    nil
  end

  def read_message(data)
    message = Xlreg::Wire::Message.decode(data)
    %i[error cluster member_ok registry].each { |read| forgiving { message.public_send(read) } }
    message.part.members.each { |member| forgiving { Xlreg::Verifier.verify(member, Xlreg::Protocol::V20) } }
  end

  def read_certificate(data)
    token = Xlreg::Token.new(name: 'm0', comms_key: SIG_KEY, sig_key: SIG_KEY)
    forgiving { Xlreg::Certificate.check_self_signed(data) }
    forgiving { Xlreg::Certificate.check(token.with(certificate: data), data) }
    forgiving { Xlreg::Certificate.field_of(data) }
    forgiving { Xlreg::RegistryCertificate.check([data, data, data], sig_key: SIG_KEY) }
    forgiving { Xlreg::RegistryCertificate.find_key([data, data], Xlreg::PublicKey.fingerprint(SIG_KEY)) }
    Xlreg::OwnCertificate.new(data).serves?(Time.now)
  end

  def read_key(data)
    %i[parse from_ssh fingerprint].each { |read| forgiving { Xlreg::PublicKey.public_send(read, data) } }
  end

  def read_nested(data)
    [Xlreg::Admission.method(:decode), Xlreg::Order.method(:decode), Xlreg::Labels.method(:decode),
     Xlreg::Seats.method(:read)].each { |read| forgiving { read.call(data) } }
  end

  TARGET = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: Xlreg::PublicKey.fingerprint(SIG_KEY))

  def read_document(data) = Xlreg::SignedRoster.load(data, TARGET)

  def read_ticket(data) = Xlreg::Ticket.parse(data.dup.force_encoding(Encoding::UTF_8)).text

  def read_stream(data)
    [Xlreg::Codec::Framing.new, Xlreg::Codec::Opener.new("\0" * 32, "\0" * 16)].each do |codec|
      codec.feed(data)
      forgiving { nil while codec.next }
    end
  end

  def read_reply(data)
    [Xlreg::Protocol::V18, Xlreg::Protocol::V19].each do |protocol|
      hello = Xlreg::Classic::Hello.new(protocol: protocol, key1: "\0" * 32, salt1: "\0" * 8, version1: 0,
                                        iv1: "\0" * 16)
      forgiving { hello.open(data) }
    end
  end

  def read_text(data)
    text = data.dup.force_encoding(Encoding::UTF_8)
    [Xlreg::RegCred.method(:parse), Xlreg::Target.method(:parse), Xlreg::Endpoint.method(:new),
     Xlreg::NodeID.method(:parse), Xlreg::DecimalVersion.method(:parse), Xlreg::Fingerprint.method(:parse),
     Xlreg::Name.method(:check)].each { |read| forgiving { read.call(text) } }
    again = Xlreg::RecordParser.parse(data)
    assert_equal again.encode, Xlreg::RecordParser.parse(again.encode).encode
  end

  def read_pem(data) = Xlreg::PrivateKey.parse(data)

  def test_versions_hold_any_number
    random = Random.new(1)
    ROUNDS.times do
      version = Xlreg::DecimalVersion.from_i(random.rand(2**32))
      assert_equal version, Xlreg::DecimalVersion.parse(version.to_s)
    end
  end
end
