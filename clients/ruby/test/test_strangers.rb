# frozen_string_literal: true

require_relative 'fake'

# Those who mean harm: what they send costs no more than it should, and does nothing to a terminal or to other
# programs.
class TestStrangers < Minitest::Test
  include Real

  Op = FakeRegistry::Op

  # Empty tokens take a hundred times their three bytes.
  def test_tokens_are_counted_before_they_are_decoded
    empty = "\xAA\x01\x00".b
    assert_equal 1024, Xlreg::Wire::Message.decode("\x08\x0A".b + (empty * 1024)).raw.Tokens.size
    error = assert_raises(Xlreg::ProtocolError) { Xlreg::Wire::Message.decode("\x08\x0A".b + (empty * 1025)) }
    assert_match(/more than 1024 tokens/, error.message)
  end

  # A decoder keeps a group that it does not know, and what it takes, at the top and in a token.
  def test_groups_are_refused
    start, stop = "\xA3\x06\xA4\x06".b.unpack('a2a2')
    [1, 10_000].each do |depth|
      groups = (start * depth) + (stop * depth)
      token = varint(groups.bytesize) + groups
      ["\x08\x0A".b + groups, "\x08\x0A\xAA\x01".b + token, "\x08\x03\x5A".b + token].each do |data|
        assert_raises(Xlreg::ProtocolError) { Xlreg::Wire::Message.decode(data) }
      end
      refute Xlreg::Wire::Scan.new.whole?("\x08\x0A".b + groups)
    end
  end

  def varint(number)
    return [number].pack('C') if number < 0x80

    [(number & 0x7F) | 0x80].pack('C') + varint(number >> 7)
  end

  # Whoever has signatures verified chooses the key, and with it how long that takes.
  def test_keys_over_2_0_have_bounds
    [[8192, 65_537], [4097, 65_537], [2048, 65_539], [2047, 65_537]].each do |bits, exponent|
      modulus = (1 << (bits - 1)) + 1
      Xlreg::PublicKey.check_numbers(modulus, exponent)
      assert_raises(Xlreg::PublicKeyError) { Xlreg::PublicKey.check_numbers(modulus, exponent, modern: true) }
    end
    Xlreg::PublicKey.check_numbers((1 << 4095) + 1, 65_537, modern: true)
  end

  def test_a_member_with_a_key_beyond_the_bounds
    key = OpenSSL::PKey::RSA.new(2048, 65_539)
    node = Xlreg::Node.new(name: 'm1', keys: Xlreg::Keys.new(comms: key, sig: key), endpoints: ['127.0.0.1:1'])
    token, = node.token(protocol: Xlreg::Protocol::V20, id: FakeRegistry::OTHER_ID)
    member = Xlreg::Member.new(index: 0, token: token)
    error = assert_raises(Xlreg::ProtocolError) { Xlreg::Verifier.verify(member, Xlreg::Protocol::V20) }
    assert_match(/exponent 65539, want an odd one from 3 to 65537/, error.message)
    Xlreg::Verifier.verify(member, Xlreg::Protocol::V19)
    FakeRegistry.run('2.0') do |fake|
      error = assert_raises(Xlreg::PrivateKeyError) { Xlreg::Client.open(fake.cred, node: node) }
      assert_match(/exponent 65539: protocol 2.0 needs/, error.message)
    end
  end

  # A registry may say anything in an error, and none of it is obeyed by a terminal.
  def test_what_a_registry_says_is_spelt_out
    evil = "\u202Ereversed\u2066 \e[2J\a\u0085\u00AD\u200B\uFEFF\u{E0041}\r\n caf\u00E9"
    error = told { FakeRegistry.reply(Op::ERROR, ErrDesc: "cluster is full: #{evil}") }
    [error.message, error.detail].each do |text|
      assert_includes text, '\\u202ereversed'
      assert_includes text, 'café'
      assert_empty text.scan(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/)
    end
    error = assert_raises(Xlreg::RegCredError) { Xlreg::RegCred.parse("regCred {\n Name: x\n #{evil}: y") }
    assert_empty error.message.scan(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/)
    error = assert_raises(Xlreg::Error) { Xlreg::RecordParser.parse("{ #{evil}") }
    assert_empty error.message.scan(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/)
  end

  # Returns the error of a registry that answers Join like this.
  def told(&answer)
    FakeRegistry.run('2.0', { Op::JOIN => ->(_) { answer.call } }) do |fake|
      Xlreg::Client.open(fake.cred, node: node(0)) { |one| return assert_raises(Xlreg::Error) { one.join('web') } }
    end
  end

  # To other programs such a host is an option.
  def test_hosts_that_are_options
    ['--version:22', '-oProxyCommand=x:22', '-:1'].each do |text|
      assert_raises(Xlreg::EndpointError, text) { Xlreg::Endpoint.new(text) }
      assert_raises(Xlreg::IllFormedNameError, text) { Xlreg::Name.check(text.delete(':')) }
    end
    token = Xlreg::Wire::Pb::Token.new(Name: 'm', ID: FakeRegistry::ID, MyEnds: ['--version:22'])
    message = FakeRegistry.reply(Op::CLUSTER_MEMBERS, ClusterID: FakeRegistry::ID, Which: 1, Tokens: [token])
    assert_raises(Xlreg::ProtocolError) { message.part(classic: true) }
  end
end
