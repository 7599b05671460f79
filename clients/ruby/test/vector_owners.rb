# frozen_string_literal: true

# The vectors about owners of clusters, their tickets, sums and signed rosters.
module VectorOwners
  def run_owner(vector)
    source, want = vector.values_at('input', 'want')
    text = send("text_of_#{source['kind']}", source)
    signature, seed = Vectors.unhex(source, 'signature', 'seed')
    signer = signer_of(source)
    order = check_order(source, signer, text, signature) if source['kind'] == 'order'
    raise refusal(want), 'signature' unless Xlreg::Ed25519.signed?(signer, text, signature)

    assert_equal want['signed'], text.unpack1('H*')
    assert_equal signature, Xlreg::Ed25519.secret(seed).sign(nil, text)
    check_order_fields(order, want) if order && want['serial']
  end

  def refusal(want) = Xlreg::KINDS.fetch(want.dig('error', 'code'))

  def signer_of(source)
    key, invite_key = Vectors.unhex(source, 'cluster_key', 'invite_key')
    source['kind'] == 'admit' && !invite_key.empty? ? invite_key : key
  end

  def text_of_create(source)
    numbers = { size: source['max_size'], endpoint_count: source['endpoint_count'],
                attrs: source['cluster_attrs'].to_i }
    Xlreg::OwnerTexts.create(source['cluster_name'], *Vectors.unhex(source, 'cluster_key'), **numbers)
  end

  def text_of_admit(source)
    Xlreg::OwnerTexts.admit(source['cluster_name'], *Vectors.unhex(source, 'cluster_key', 'sig_key', 'invite_key'))
  end

  def text_of_invite(source)
    key, invite_key, sig = Vectors.unhex(source, 'cluster_key', 'invite_key', 'signature')
    invite = Xlreg::Invite.new(key: invite_key, not_after_millis: source['not_after_millis'].to_i,
                               uses: source['uses'], sig: sig)
    Xlreg::Admission.new(invite: invite, sig: '').check_invite(source['cluster_name'], key)
    Xlreg::OwnerTexts.invite(source['cluster_name'], key, invite)
  end

  def text_of_order(source) = Xlreg::OwnerTexts.order(*Vectors.unhex(source, 'order'))

  # As the rules of a registry have it, whose first look is at the signature.
  def check_order(source, signer, text, signature)
    raise Xlreg::BadSignatureError, 'order' unless Xlreg::Ed25519.signed?(signer, text, signature)

    order = Xlreg::Order.decode(*Vectors.unhex(source, 'order'))
    raise Xlreg::IllFormedTokenError, 'kind' unless order.kind.between?(1, 5)

    order
  end

  def check_order_fields(order, want)
    assert_equal [want['serial'].to_i, want['order_kind']], [order.serial, order.kind]
    assert_equal Vectors.unhex(want, 'cluster_id', 'sig_key_sum', 'invite_key'),
                 [order.cluster, order.sig_key_sum, order.invite_key]
  end

  def run_admission(vector)
    source, want = vector.values_at('input', 'want')
    bytes, key, sig_key = Vectors.unhex(source, 'bytes', 'cluster_key', 'sig_key')
    found = Xlreg::Admission.decode(bytes)
    found.verify(source['cluster_name'], key, sig_key)
    invite = found.invite
    assert_equal Vectors.unhex(want, 'invite_key', 'invite_sig', 'sig'), [invite&.key.to_s, invite&.sig.to_s, found.sig]
    assert_equal [want['not_after_millis'].to_i, want['uses'].to_i], [invite&.not_after_millis.to_i, invite&.uses.to_i]
    assert_equal want['canonical'] || false, found.encode == bytes
  end

  def run_ticket(vector)
    text = vector['input']['text']
    want = vector['want'] || {}
    found = Xlreg::Ticket.parse(text)
    assert_equal want.values_at('kind', 'cluster_name', 'size', 'endpoint_count'),
                 [found.kind.to_s, found.cluster, found.size, found.endpoint_count]
    assert_equal want.values_at('registry_endpoints', 'fingerprint'),
                 [found.registry.endpoints.map(&:to_s), found.registry.fingerprint]
    assert_equal want['cluster_key'], found.key.unpack1('H*')
    check_leave(found, want)
    assert_equal want['canonical'] || false, found.text == text
    again = Xlreg::Ticket.parse(found.text)
    assert_equal [found.text, found.kind], [again.text, again.kind]
    shown = [found.inspect, found.to_s, capture_io do
                                          pp(found)
                                        end[0], found.owner.inspect, found.instance_variables].join(' ')
    refute_includes shown, Xlreg::Ed25519.text(*Vectors.unhex(want, 'seed')) if want['seed']
  end

  def check_leave(found, want)
    seed, invite_key, invite_sig, sig = Vectors.unhex(want, 'seed', 'invite_key', 'invite_sig', 'sig')
    assert_equal seed, found.owner.seed if found.owner?
    assert_equal sig, found.admitted.to_s
    return unless found.invited

    assert_equal [invite_key, want['not_after_millis'].to_i, want['uses'], invite_sig],
                 [found.invited.key, found.invited.not_after_millis, found.invited.uses, found.invited.sig]
    assert_includes found.text, "invite=#{Xlreg::Ed25519.text(seed)}"
  end

  def run_label(vector)
    bytes, = Vectors.unhex(vector['input'], 'bytes')
    want = vector['want'] || {}
    labels = Xlreg::Labels.decode(bytes)
    assert_equal(want['labels'].to_a.map { |label| label.values_at('key', 'value') },
                 labels.map { |key, value| [key, value.unpack1('H*')] })
    assert_equal want['canonical'] || false, Xlreg::Labels.encode(labels).to_s == bytes
  end

  def run_set(vector)
    want = vector['want'] || {}
    return assert want['all'] unless vector['input'].key?('bytes')

    bytes, = Vectors.unhex(vector['input'], 'bytes')
    set = Xlreg::Seats.read(bytes)
    assert_equal want['indexes'].to_a, Xlreg::Seats.list(set)
    assert_equal want['canonical'] || false, Xlreg::Seats.write(set) == bytes
  end

  def run_sum(vector)
    source, want = vector.values_at('input', 'want')
    id, key = Vectors.unhex(source, 'cluster_id', 'cluster_key')
    cluster = Xlreg::Cluster.new(id: Xlreg::ClusterID.new(id), name: source['cluster_name'], size: source['max_size'],
                                 attrs: source['cluster_attrs'].to_i, endpoint_count: source['endpoint_count'],
                                 key: key)
    state = Xlreg::ClusterState.new(**%w[epoch revision orders].to_h { |what| [what.to_sym, source[what].to_i] })
    members = source['seats'].to_a.map do |seat|
      token = Xlreg::Wire::Reading.roster_token(Xlreg::Wire::Pb::Token.decode(*Vectors.unhex(seat, 'token')),
                                                classic: false)
      Xlreg::Member.new(index: seat['index'], token: token)
    end
    sum = Xlreg::Sum.of(Xlreg::Roster.new(cluster: cluster, state: state, members: members))
    assert_equal want.values_at('sum', 'short'), [sum.unpack1('H*'), Xlreg::Sum.short(sum)]
  end

  def run_signed(vector)
    source = vector['input']
    want = vector['want'] || {}
    sig_key, cluster_key = Vectors.unhex(source, 'sig_key', 'cluster_key')
    print = sig_key.empty? ? source['fingerprint'] : Xlreg::PublicKey.fingerprint(sig_key)
    target = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: print)
    documents = source['documents'].map { |document| [document].pack('H*') }
    found = Xlreg::SignedRoster.verify(documents, target, cluster_key: (cluster_key unless cluster_key.empty?))
    check_signed(found, want)
  end

  def check_signed(found, want)
    check_roster(found.roster, want)
    assert_equal want['signed_millis'], (found.signed.to_r * 1000).to_i.to_s
  end

  def check_roster(roster, want)
    assert_equal want.values_at('sum', 'short'), [roster.sum.unpack1('H*'), roster.short_sum]
    assert_equal want.values_at('cluster_id', 'cluster_name'), [roster.cluster.id.to_s, roster.cluster.name]
    assert_equal Vectors.unhex(want, 'cluster_key'), [roster.cluster.key.to_s]
    assert_equal want.values_at('epoch', 'revision').map(&:to_i), [roster.state.epoch, roster.state.revision]
    members = roster.members.map { |one| [one.index, one.name, one.token.sig_key.unpack1('H*'), one.verified?] }
    assert_equal(want['members'].map { |one| one.values_at('index', 'name', 'sig_key', 'verified') }, members)
  end
end
