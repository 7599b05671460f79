# frozen_string_literal: true

# The vectors about messages: what they hold, and what is refused.
module VectorMessages
  Op = Xlreg::Wire::Op
  Message = Xlreg::Wire::Message
  Requests = Xlreg::Wire::Requests
  Reading = Xlreg::Wire::Reading

  # How this gem reads what a registry sends.
  READERS = {
    Op::REG_CRED_REPLY => :registry, Op::MEMBER_OK => :member_ok, Op::CREATE_REPLY => :cluster,
    Op::JOIN_REPLY => :cluster, Op::ORDER_REPLY => :cluster, Op::LEAVE_REPLY => :cluster,
    Op::ERROR => :error, Op::ACK => :error
  }.freeze

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
    return value.to_a.map { |one| describe_value(field, one) } if field.label == :repeated

    describe_value(field, value)
  end

  def describe_value(field, value)
    return describe(value) if field.type == :message
    return value.to_s if field.type == :uint64

    field.type == :bytes ? value.unpack1('H*') : value
  end

  # Reads a message as its receiver does, and makes it anew from that. What only a registry sends this
  # gem cannot make; that is read and returned.
  def rebuild(message)
    raise Xlreg::BadTagError unless message.op.between?(1, 17)
    return rebuild_member(message.raw) if message.op == Op::MEMBER
    return message.tap { message.public_send(READERS[message.op]) } if READERS.key?(message.op)
    return message.tap { message.part(classic: message.raw.has_Which?) } if message.op == Op::CLUSTER_MEMBERS

    rebuild_request(message.op, message.raw)
  end

  def rebuild_request(code, raw)
    case code
    when Op::CREATE then Requests.create(name: raw.ClusterName, size: raw.ClusterMaxSize,
                                         endpoint_count: raw.EndPointCount, attrs: raw.ClusterAttrs,
                                         key: cluster_key(raw), sig: given(raw, 'OwnerSig'))
    when Op::GET_CLUSTER then rebuild_get(ref(raw), raw)
    when Op::JOIN then Requests.join(ref(raw), entry(raw))
    when Op::LEAVE then Requests.leave(ref(raw))
    when Op::ORDER then Requests.order(raw.OwnerOrder, raw.OwnerSig)
    when Op::BYE then Requests.bye
    when Op::REG_CRED_REQUEST then Requests.reg_cred
    end
  end

  def given(raw, name) = (raw[name] if raw.public_send("has_#{name}?"))

  def ref(raw)
    Xlreg::ClusterRef.new(id: (Xlreg::ClusterID.new(raw.ClusterID) if raw.has_ClusterID?), name: raw.ClusterName,
                          key: cluster_key(raw))
  end

  # As a registry does it, which this gem's own requests never need.
  def cluster_key(raw)
    key = given(raw, 'ClusterKey')
    raise Xlreg::IllFormedNameError, 'cluster key' unless key.nil? || key.bytesize == Xlreg::Limits::CLUSTER_KEY

    key
  end

  def entry(raw)
    run = given(raw, 'Run')
    raise Xlreg::IllFormedTokenError, 'Run' if run.to_s.bytesize > Xlreg::Limits::MAX_RUN || (raw.Fresh && run.nil?)

    Xlreg::Wire::Entry.new(admission: given(raw, 'Admission'), run: run, fresh: raw.Fresh,
                           lease: (raw.LeaseMillis / 1000.0 if raw.has_LeaseMillis?))
  end

  def rebuild_get(ref, raw)
    classic = raw.has_Which?
    wait = { wait_size: 'WaitSize', wait_millis: 'WaitMillis', since_revision: 'SinceRevision', wait_epoch: 'WaitEpoch',
             sign: 'Sign' }.transform_values { |name| given(raw, name) }
    which = classic ? raw.Which : given(raw, 'WhichSet')&.then { |set| Xlreg::Seats.read(set) }
    Requests.get(ref, classic: classic, which: which, **wait)
  end

  def rebuild_member(raw)
    return Requests.member(read_token(raw.MemberSpecs, token_protocol(raw))) if raw.MemberSpecs
    raise Xlreg::IllFormedTokenError, 'neither MemberSpecs nor MemberID' unless raw.has_MemberID?

    Requests.login(Xlreg::NodeID.new(raw.MemberID), (raw.DigSig if raw.has_DigSig?))
  end

  def token_protocol(raw) = raw.MemberSpecs.DigSig2.empty? ? Xlreg::Protocol::V19 : Xlreg::Protocol::V20

  def run_roster(vector)
    source = vector['input']
    wire, key = Vectors.unhex(source, 'message', 'cluster_key')
    protocol = Xlreg::Protocol.of(source['protocol'])
    part = Message.decode(wire).part(classic: protocol.classic?)
    members = verified(part, protocol, (key unless key.empty?))
    assert_equal(vector['want']['members'].to_a, members.map { |member| describe_member(member) })
  end

  # Verifies members as a client does, which has a whole roster or asks for the rest.
  def verified(part, protocol, key)
    raise Xlreg::BadSignatureError, 'cluster of another key' if key && part.cluster.key != key
    return Xlreg::Verifier.new(protocol).verify(part.roster, key).members if part.whole? || protocol.classic?

    part.members.map { |member| Xlreg::Verifier.verify(member, protocol, part.cluster, key) }
  end

  def describe_member(member)
    token = member.token
    { 'index' => member.index, 'name' => member.name, 'id' => member.id.to_s, 'attrs' => token.attrs.to_s,
      'endpoints' => member.endpoints.map(&:to_s), 'joined_millis' => millis(token.joined || 0),
      'verified' => member.verified?, 'lease_millis' => (token.lease && (token.lease * 1000).round),
      'seen_millis' => (token.seen && millis(token.seen)), 'run' => token.run&.unpack1('H*'),
      'labels' => token.labels&.unpack1('H*') }.compact
  end

  def millis(time) = (time.to_r * 1000).to_i.to_s

  # Verifies the signature in a Member that an original client sent.
  def verify_recorded(message)
    Xlreg::Signatures.verify_classic(read_token(message.raw.MemberSpecs, Xlreg::Protocol::V18))
  end
end
