# frozen_string_literal: true

# The vectors about tokens: which a registry refuses, and what it keeps of the others.
module VectorTokens
  # Reads a token as a registry does, keys and all.
  def read_token(raw, protocol)
    token = Xlreg::Wire::Reading.token(raw, classic: protocol.classic?)
    [token.comms_key, token.sig_key].each do |key|
      protocol.classic? ? Xlreg::PublicKey.parse_rsa(key) : Xlreg::PublicKey.parse(key, modern: true)
    end
    token
  rescue Xlreg::PublicKeyError => e
    raise Xlreg::IllFormedTokenError, e.message
  end

  def run_token(vector)
    source, want = vector.values_at('input', 'want')
    wire, shown = Vectors.unhex(source, 'message', 'certificate')
    protocol = Xlreg::Protocol.of(source['protocol'])
    token = read_token(Xlreg::Wire::Message.decode(wire).raw.MemberSpecs, protocol)
    check_kept(admit(token, protocol, shown), want)
    signer = Vectors.key(want['signer'])
    if protocol.classic?
      assert_equal token.digsig, Xlreg::Signatures.sign_classic(signer, token)
    else
      assert_equal token.sig_key, Xlreg::PublicKey.der(signer)
    end
    same = !vector['vector'].match?(/filled-in|labels-empty/) # of what is no good it makes nothing
    assert_equal same, wire == Xlreg::Wire::Requests.member(token).encode
  end

  def check_kept(kept, want)
    assert_equal want.values_at('name', 'attrs'), [kept.name, kept.attrs.to_s]
    assert_equal want['endpoints'], kept.endpoints.map(&:to_s)
    assert_equal Vectors.unhex(want, 'comms_key', 'sig_key', 'labels'), [kept.comms_key, kept.sig_key, kept.labels.to_s]
    assert_equal want['id'], kept.id.to_s if want.key?('id')
  end

  # Holds a token against the rules for registering, and returns what is kept.
  def admit(token, protocol, shown)
    return admit_classic(token) if protocol.classic?
    raise Xlreg::IllFormedTokenError, 'unknown attributes' unless (token.attrs & ~Xlreg::NodeAttrs::KNOWN).zero?

    Xlreg::Certificate.check_self_signed(shown)
    Xlreg::Certificate.check(token, shown)
    Xlreg::Signatures.verify_token(token, shown)
    Xlreg::Signatures.verify_comms(token)
    token
  rescue Xlreg::CertificateError => e
    raise Xlreg::IllFormedTokenError, e.message
  end

  def admit_classic(token)
    Xlreg::Signatures.verify_classic(token)
    token.with(attrs: token.attrs & Xlreg::NodeAttrs::KNOWN, digsig: nil)
  end
end
