# frozen_string_literal: true

module Xlreg
  # The signatures of the protocol: over tokens, and over classic log-ins.
  module Signatures
    # Separates the signature of a 2.0 token from everything else that the same key may sign.
    CONTEXT = "xlreg token 2.0\0".b.freeze
    PSS = { salt_length: 32, mgf1_hash: 'SHA256' }.freeze
    private_constant :CONTEXT, :PSS

    module_function

    # @param key [OpenSSL::PKey::RSA]
    # @param token [Token]
    # @return [String] the classic signature of a token, its DigSig (section 4.1)
    def sign_classic(key, token) = key.sign('SHA1', classic_text(token))

    # Holds a token's DigSig against its sig key.
    # @param token [Token]
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_classic(token)
      verify_sha1(token.sig_key, token.digsig, classic_text(token), "classic signature of #{Text.quote(token.name)}")
    end

    # @param key [OpenSSL::PKey::RSA]
    # @param salt2 [String] of this session
    # @param id [NodeID]
    # @return [String] what proves over a classic carrier that a client holds the sig key of id (section 5.2)
    def sign_login(key, salt2, id) = key.sign('SHA1', salt2 + id.bytes)

    # Holds what sign_login returned against a key.
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_login(sig_key, salt2, id, digsig)
      verify_sha1(sig_key, digsig, salt2 + id.bytes, "log-in of #{id}")
    end

    # @param key [OpenSSL::PKey::RSA]
    # @param token [Token]
    # @param certificate [String] the one that the client shows in its handshake, to which this binds
    # @return [String] the 2.0 signature of a token, its DigSig2 (section 7.5)
    def sign_token(key, token, certificate) = key.sign_pss('SHA256', token_text(token, certificate), **PSS)

    # Holds a token's DigSig2 against its sig key and a certificate. Nothing else in it is looked at.
    # @param token [Token]
    # @param certificate [String]
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_token(token, certificate)
      key = signing_key(token.sig_key, modern: true)
      good = holds? { key.verify_pss('SHA256', token.digsig2.to_s, token_text(token, certificate), **PSS) }
      raise BadSignatureError, "2.0 signature of #{Text.quote(token.name)}" unless good
    end

    # @api private
    def verify_sha1(sig_key, signature, text, what)
      key = signing_key(sig_key)
      raise BadSignatureError, what unless holds? { key.verify('SHA1', signature.to_s, text) }
    end

    # @api private
    def holds?
      yield
    rescue OpenSSL::PKey::PKeyError
      false
    ensure
      OpenSSL.errors # empties OpenSSL's queue, which a later call might take for its own
    end

    # @api private
    def signing_key(sig_key, modern: false)
      PublicKey.parse(sig_key, modern: modern)
    rescue PublicKeyError => e
      raise BadSignatureError, "sig key: #{e.message}"
    end

    # Runs the fields together without lengths, as deployed peers do.
    # @api private
    def classic_text(token)
      [token.name.b, [token.attrs].pack('Q<'), token.comms_key, token.sig_key,
       *token.endpoints.map { |endpoint| endpoint.to_s.b }].join
    end

    # @api private
    def token_text(token, certificate)
      fields = [token.name.b, [token.attrs].pack('Q<'), token.comms_key, token.sig_key,
                OpenSSL::Digest::SHA256.digest(certificate)]
      ends = token.endpoints.map { |endpoint| lp(endpoint.to_s.b) }
      [CONTEXT, *fields.map { |field| lp(field) }, [ends.size].pack('N'), *ends].join
    end

    # @api private
    def lp(data) = [data.bytesize].pack('N') + data
  end
end
