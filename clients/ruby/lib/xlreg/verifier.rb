# frozen_string_literal: true

module Xlreg
  # Verifies rosters, and remembers the last, so that one that grows is verified once.
  # @api private
  class Verifier
    # @param protocol [Protocol] over which they come
    def initialize(protocol)
      @protocol = protocol
      @last = {}
    end

    # Takes a token that the node itself has signed for verified.
    # @param own [Token]
    def know(own) = @last = { own.id => Member.new(index: 0, token: own, verified: !@protocol.classic?) }

    # @param roster [Roster]
    # @return [Roster] it with every member verified that can be
    # @raise [BadSignatureError, IllFormedTokenError] see Verifier.verify
    def verify(roster)
      members = roster.members.map { |member| verify_once(member) }.freeze
      @last = members.to_h { |member| [member.id, member] }
      roster.with(members: members)
    end

    # Returns a member as verified if its token is signed; as not verified if it has no signature.
    # @param member [Member]
    # @param protocol [Protocol] over which it came
    # @return [Member]
    # @raise [BadSignatureError] its signature or certificate does not verify: the roster has been
    #   tampered with, or its registry does not do its part
    # @raise [IllFormedTokenError] its keys are none
    def self.verify(member, protocol)
      token = member.token
      signed = !protocol.classic? && !token.digsig2.nil? && !token.certificate.nil?
      Text.doing("member #{Text.quote(token.name)} (#{token.id})") do
        verify_signed(token) if signed
        check_keys(token, modern: signed)
      end
      member.with(verified: signed)
    end

    # @api private
    def self.verify_signed(token)
      Signatures.verify_token(token, token.certificate)
      Certificate.check(token.certificate, token)
    rescue CertificateError => e
      raise BadSignatureError, e.message
    end

    # @api private
    def self.check_keys(token, modern:)
      { 'comms key' => token.comms_key, 'sig key' => token.sig_key }.each do |what, key|
        PublicKey.parse(key, modern: modern)
      rescue PublicKeyError => e
        raise IllFormedTokenError, "#{what}: #{e.message}"
      end
    end
    private_class_method :verify_signed, :check_keys

    private

    def verify_once(member)
      known = @last[member.id]
      return member.with(verified: known.verified) if known && proof(known.token) == proof(member.token)

      Verifier.verify(member, @protocol)
    end

    # A token less what is not verified.
    def proof(token) = token.with(id: nil, joined: nil, digsig: nil)
  end
end
