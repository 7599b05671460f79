# frozen_string_literal: true

# The vectors about messages: what they hold, what is refused, and what a registry keeps of a token.
module VectorMessages
  Op = Xlreg::Wire::Op
  Message = Xlreg::Wire::Message
  Requests = Xlreg::Wire::Requests
  Reading = Xlreg::Wire::Reading

  # How this gem reads what a registry sends.
  READERS = {
    Op::REG_CRED_REPLY => :registry, Op::MEMBER_OK => :member_ok, Op::CREATE_REPLY => :cluster,
    Op::JOIN_REPLY => :cluster, Op::CLUSTER_MEMBERS => :members, Op::LEAVE_REPLY => :cluster,
    Op::ERROR => :error, Op::ACK => :error
  }.freeze
  NODE_KNOWN = Xlreg::NodeAttrs::KNOWN

  def run_message(vector)
    plain, = Vectors.unhex(vector['input'], 'plain')
    message = Message.decode(plain)
    again = rebuild(message)
    assert_equal vector['want']['fields'], describe(message.raw)
    assert_equal message.op, again.op
    assert_equal [plain, plain], [message.encode, again.encode] if vector['want']['canonical']
  end

  # Returns the known fields of a message as the vectors write them.
  def describe(raw)
    raw.class.descriptor.to_a.filter_map do |field|
      value = field.get(raw)
      given = field.label == :repeated ? !value.to_a.empty? : field.has?(raw)
      [field.name, describe_field(field, value)] if given
    end.to_h
  end

  def describe_field(field, value)
    return value.to_a.map { |one| one.is_a?(String) ? one : describe(one) } if field.label == :repeated
    return describe(value) if field.type == :message
    return value.to_s if field.type == :uint64

    field.type == :bytes ? value.unpack1('H*') : value
  end

  # Reads a message as its receiver does, and makes it anew from that. What only a registry sends this
  # gem cannot make; that is read and returned.
  def rebuild(message)
    raise Xlreg::BadTagError unless message.op.between?(1, 15)
    return rebuild_member(message.raw) if message.op == Op::MEMBER
    return message.tap { message.public_send(READERS[message.op]) } if READERS.key?(message.op)

    rebuild_request(message.op, message.raw)
  end

  def rebuild_request(code, raw)
    ref = Xlreg::ClusterRef.new(id: (Xlreg::ClusterID.new(raw.ClusterID) if raw.has_ClusterID?), name: raw.ClusterName)
    case code
    when Op::CREATE then Requests.create(name: raw.ClusterName, size: raw.ClusterMaxSize,
                                         endpoint_count: raw.EndPointCount, attrs: raw.ClusterAttrs)
    when Op::GET_CLUSTER then rebuild_get(ref, raw)
    when Op::JOIN then Requests.join(ref)
    when Op::LEAVE then Requests.leave(ref)
    when Op::BYE then Requests.bye
    when Op::REG_CRED_REQUEST then Requests.reg_cred
    end
  end

  def rebuild_get(ref, raw)
    Requests.get(ref, which: (raw.Which if raw.has_Which?),
                      wait_size: (raw.WaitSize if raw.has_WaitSize?),
                      wait_millis: (raw.WaitMillis if raw.has_WaitMillis?))
  end

  def rebuild_member(raw)
    return Requests.member(read_token(raw.MemberSpecs, token_protocol(raw))) if raw.MemberSpecs
    raise Xlreg::IllFormedTokenError, 'neither MemberSpecs nor MemberID' unless raw.has_MemberID?

    Requests.login(Xlreg::NodeID.new(raw.MemberID), (raw.DigSig if raw.has_DigSig?))
  end

  def token_protocol(raw) = raw.MemberSpecs.DigSig2.empty? ? Xlreg::Protocol::V19 : Xlreg::Protocol::V20

  # Reads a token as a registry does, keys and all.
  def read_token(raw, protocol)
    token = Reading.token(raw)
    [token.comms_key, token.sig_key].each { |key| Xlreg::PublicKey.parse(key, modern: !protocol.classic?) }
    token
  rescue Xlreg::PublicKeyError => e
    raise Xlreg::IllFormedTokenError, e.message
  end

  def run_token(vector)
    source, want = vector.values_at('input', 'want')
    wire, shown = Vectors.unhex(source, 'message', 'certificate')
    protocol = Xlreg::Protocol.of(source['protocol'])
    token = read_token(Message.decode(wire).raw.MemberSpecs, protocol)
    check_kept(admit(token, protocol, shown), want)
    assert_equal token.digsig, Xlreg::Signatures.sign_classic(Vectors.key(want['signer']), token) if protocol.classic?
    assert_equal wire, Requests.member(token).encode
  end

  def check_kept(kept, want)
    assert_equal want.values_at('name', 'attrs'), [kept.name, kept.attrs.to_s]
    assert_equal want['endpoints'], kept.endpoints.map(&:to_s)
    assert_equal Vectors.unhex(want, 'comms_key', 'sig_key'), [kept.comms_key, kept.sig_key]
    assert_equal want['id'], kept.id.to_s if want.key?('id')
    assert_equal want['handed_out'], !kept.certificate.nil? if want.key?('handed_out')
  end

  # Holds a token against the rules for registering, and returns what is kept.
  def admit(token, protocol, shown)
    return admit_classic(token) if protocol.classic?
    raise Xlreg::IllFormedTokenError, 'unknown attributes' unless (token.attrs & ~NODE_KNOWN).zero?

    shown_key = Xlreg::Certificate.check_self_signed(shown)
    raise Xlreg::BadSignatureError, 'not the key of the certificate shown' unless shown_key == token.sig_key

    Xlreg::Signatures.verify_token(token, shown)
    hand_out(token, shown)
  end

  def admit_classic(token)
    Xlreg::Signatures.verify_classic(token)
    token.with(attrs: token.attrs & NODE_KNOWN, digsig: nil)
  end

  def hand_out(token, shown)
    Xlreg::Certificate.check(shown, token)
    token.with(certificate: shown)
  rescue Xlreg::CertificateError
    token
  end

  def run_roster(vector)
    source = vector['input']
    wire, = Vectors.unhex(source, 'message')
    protocol = Xlreg::Protocol.of(source['protocol'])
    members = Message.decode(wire).members.map { |member| Xlreg::Verifier.verify(member, protocol) }
    assert_equal(vector['want']['members'], members.map { |member| describe_member(member) })
  end

  def describe_member(member)
    { 'index' => member.index, 'name' => member.name, 'id' => member.id.to_s,
      'attrs' => member.token.attrs.to_s, 'endpoints' => member.endpoints.map(&:to_s),
      'joined_millis' => ((member.token.joined || 0).to_r * 1000).to_i.to_s, 'verified' => member.verified? }
  end

  # Verifies the signature in a Member that an original client sent.
  def verify_recorded(message)
    Xlreg::Signatures.verify_classic(read_token(message.raw.MemberSpecs, Xlreg::Protocol::V18))
  end
end
