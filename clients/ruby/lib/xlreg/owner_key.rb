# frozen_string_literal: true

module Xlreg
  # Ed25519 (RFC 8032), by which owners of clusters sign.
  # @api private
  module Ed25519
    KEY = 32
    SIGNATURE = 64
    # What DER has before the 32 bytes of a private and of a public key.
    PRIVATE = ['302e020100300506032b657004220420'].pack('H*').freeze
    PUBLIC = ['302a300506032b6570032100'].pack('H*').freeze
    # The y coordinates of the points that times 8 are none, 0 and 1 in both of their encodings. By such a key
    # anybody can sign, and OpenSSL takes that, as RFC 8032 allows.
    SMALL_ORDER = [
      '00' * 32, "01#{'00' * 31}",
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      "ec#{'ff' * 30}7f", "ed#{'ff' * 30}7f", "ee#{'ff' * 30}7f"
    ].map { |hex| [hex].pack('H*').freeze }.freeze
    private_constant :PRIVATE, :PUBLIC, :SMALL_ORDER

    module_function

    # @param seed [String] 32 bytes
    # @return [OpenSSL::PKey::PKey] the key that they are the private half of
    def secret(seed)
      raise FormatError, "seed of #{seed.bytesize} bytes, want #{KEY}" unless seed.bytesize == KEY

      OpenSSL::PKey.read(PRIVATE + seed.b)
    end

    # @param secret [OpenSSL::PKey::PKey]
    # @return [String] the 32 bytes of the public half
    def public_half(secret) = secret.public_to_der.b.byteslice(-KEY, KEY)

    # @param key [String] the public half
    # @param text [String] what is signed
    # @param signature [String]
    # @return [Boolean] whether it is the key's
    def signed?(key, text, signature)
      return false unless key.bytesize == KEY && signature.bytesize == SIGNATURE
      return false if small_order?(key)

      Signatures.holds? { OpenSSL::PKey.read(PUBLIC + key.b).verify(nil, signature, text) }
    end

    # @param key [String] of 32 bytes
    # @return [Boolean] whether anybody can sign by it
    def small_order?(key)
      y = key.b
      y.setbyte(-1, y.getbyte(-1) & 0x7f) # the rest is the sign of x
      SMALL_ORDER.include?(y)
    end

    # @param bytes [String]
    # @return [String] them as people see them and tickets have them: base64url without padding
    def text(bytes) = [bytes].pack('m0').tr('+/', '-_').delete('=')
  end

  # A key whose private half nobody sees by accident: however it is printed, only seed returns that.
  # @api private
  class SecretKey
    # @return [String] the public half
    attr_reader :public_key

    # @param seed [String] the private half, 32 bytes
    def initialize(seed)
      secret = Ed25519.secret(seed)
      @public_key = Ed25519.public_half(secret).freeze
      # Held by blocks, where no printing of instance variables finds them.
      @sign = ->(text) { secret.sign(nil, text) }
      @seed = -> { seed.b }
    end

    # @return [String] the private half, which is a secret
    def seed = @seed.call

    # @return [String] names the public half
    def inspect = "#<#{self.class} #{Ed25519.text(public_key)}>"
    alias to_s inspect

    # Shows the same with pp.
    def pretty_print(printer) = printer.text(inspect)

    # No Marshal shows more.
    def marshal_dump = raise(TypeError, "#{self.class} is a secret")

    private

    def sign(text) = @sign.call(text)
  end

  # What is signed about a cluster with a key (section 9.2).
  # @api private
  module OwnerTexts
    module_function

    def create(name, key, size:, endpoint_count:, attrs:)
      about('create', name, key) + [size, endpoint_count, attrs].pack('NNQ>')
    end

    def invite(name, key, invite)
      about('invite', name, key) + Der.lp(invite.key) + [invite.not_after_millis, invite.uses].pack('Q>N')
    end

    def admit(name, key, sig_key, invite_key) = about('admit', name, key) + Der.lp(sig_key) + Der.lp(invite_key)

    def order(bytes) = "xlreg order 2.0\0".b + Der.lp(bytes)

    def about(what, name, key) = "xlreg #{what} 2.0\0".b + Der.lp(name.b) + Der.lp(key)
  end

  # An owner's leave to admit others, bound to a key that the owner makes for it.
  #
  # @!attribute [r] key
  #   @return [String] the public half
  # @!attribute [r] not_after_millis
  #   @return [Integer] when it ends, in milliseconds since 1970; 0 is never
  # @!attribute [r] uses
  #   @return [Integer] how many keys it admits; 0 is any number
  # @!attribute [r] sig
  #   @return [String] by the cluster key
  Invite = Struct.new(:key, :not_after_millis, :uses, :sig, keyword_init: true) do
    include Value

    # @return [Hash] what an Admission says of it; zeros are left out
    # @api private
    def fields
      { InviteKey: key, NotAfterMillis: (not_after_millis if not_after_millis.positive?),
        Uses: (uses if uses.positive?), InviteSig: sig }.compact
    end

    # @return [Time, nil] when it ends
    def not_after = (Time.at(not_after_millis / 1000r).utc unless not_after_millis.zero?)

    # @return [String]
    def inspect = "#<Xlreg::Invite #{Ed25519.text(key)}>"
  end

  # The leave to become a member of a cluster with a key: for one sig key, by the cluster's key or by an invite's.
  # @api private
  Admission = Struct.new(:invite, :sig, keyword_init: true) do
    include Value

    # @return [String] as it travels
    def encode
      Wire::Pb::Admission.encode(Wire::Pb::Admission.new(Sig: sig, **(invite ? invite.fields : {})))
    end

    # @param bytes [String, nil] as it travels
    # @return [Admission]
    # @raise [AdmissionRefusedError] it is none
    def self.decode(bytes)
      Wire::Scan.check_nested(bytes.to_s)
      raw = Wire::Pb::Admission.decode(bytes.to_s)
      raise AdmissionRefusedError, 'none' if raw.Sig.empty? && raw.InviteKey.empty?

      new(invite: invite_of(raw), sig: raw.Sig)
    rescue Google::Protobuf::ParseError, ProtocolError
      raise AdmissionRefusedError, 'bad signature: it does not parse'
    end

    # @api private
    def self.invite_of(raw)
      return if raw.InviteKey.empty?

      Invite.new(key: raw.InviteKey, not_after_millis: raw.NotAfterMillis, uses: raw.Uses, sig: raw.InviteSig)
    end

    # Makes sure that it is the leave of the owner of the cluster with this name and key for a sig key. When an
    # invite ends and how often it was used, the registry alone can know.
    # @raise [AdmissionRefusedError] it is not
    def verify(name, cluster_key, sig_key)
      check_invite(name, cluster_key) if invite
      check_leave(name, cluster_key, sig_key)
    end

    # @api private
    def check_invite(name, cluster_key)
      refuse("no invite has #{invite.uses} uses") if invite.uses > Limits::MAX_USES
      return if Ed25519.signed?(cluster_key, OwnerTexts.invite(name, cluster_key, invite), invite.sig)

      refuse("the invite is not the owner's")
    end

    # @api private
    def check_leave(name, cluster_key, sig_key)
      signer = invite ? invite.key : cluster_key
      text = OwnerTexts.admit(name, cluster_key, sig_key, invite ? invite.key : '')
      refuse('it is for another key, or by another owner') unless Ed25519.signed?(signer, text, sig)
    end

    private

    def refuse(why) = raise(AdmissionRefusedError, "bad signature: #{why}")
  end

  # What an owner orders (section 9.5).
  # @api private
  Order = Struct.new(:cluster, :serial, :kind, :sig_key_sum, :invite_key, keyword_init: true) do
    include Value

    # @return [String] as it travels, and is signed
    def encode
      fields = { ClusterID: cluster.bytes, Serial: serial, Kind: kind, SigKeySum: sig_key_sum, InviteKey: invite_key }
      Wire::Pb::OwnerOrder.encode(Wire::Pb::OwnerOrder.new(**fields.compact))
    end

    # @param bytes [String]
    # @return [Order]
    # @raise [BadSignatureError] they are none, or lack what their kind needs
    def self.decode(bytes)
      Wire::Scan.check_nested(bytes)
      raw = Wire::Pb::OwnerOrder.decode(bytes)
      order = new(cluster: raw.ClusterID, serial: raw.Serial, kind: raw.Kind, sig_key_sum: raw.SigKeySum,
                  invite_key: raw.InviteKey)
      raise BadSignatureError, 'order without what its kind needs' unless order.complete?

      order
    rescue Google::Protobuf::ParseError, ProtocolError
      raise BadSignatureError, 'order does not parse'
    end

    # @return [Boolean] whether it has the 32 bytes that its kind needs
    def complete?
      case kind
      when OrderKind::EVICT, OrderKind::BAN then sig_key_sum.bytesize == Ed25519::KEY
      when OrderKind::REVOKE then invite_key.bytesize == Ed25519::KEY
      else true
      end
    end
  end

  # What an order does.
  # @api private
  module OrderKind
    EVICT, BAN, REVOKE, REOPEN, DELETE = *1..5
  end

  # The private half of a cluster's key. Whoever has it creates the cluster, admits members and gives orders.
  class OwnerKey < SecretKey
    # @return [OwnerKey] a new one
    def self.generate = new(OpenSSL::Random.random_bytes(Ed25519::KEY))

    # @api private
    # @param name [String] of the cluster
    # @param numbers [Hash] size, endpoint_count and attrs as they are sent
    # @return [String] the proof that a Create is the owner's
    def sign_create(name, **numbers) = sign(OwnerTexts.create(name, public_key, **numbers))

    # @api private
    # @param bytes [String] of an order
    # @return [String]
    def sign_order(bytes) = sign(OwnerTexts.order(bytes))

    # @api private
    # @param name [String] of the cluster
    # @param sig_key [String] whose node may become a member
    # @return [Admission]
    def admit(name, sig_key)
      PublicKey.parse(sig_key, modern: true)
      Admission.new(sig: sign(OwnerTexts.admit(name, public_key, sig_key, '')))
    end

    # @api private
    # @param name [String] of the cluster
    # @param uses [Integer] how many keys it admits; 0 is any number
    # @param not_after [Time, nil] when it ends
    # @return [Inviter]
    def invite(name, uses: 0, not_after: nil)
      unless uses.between?(0, Limits::MAX_USES)
        raise ArgumentError, "invite: #{uses} uses, want 0 to #{Limits::MAX_USES}"
      end
      raise ArgumentError, 'invite: it ends before the year 1970 does' if not_after && not_after.to_i <= 0

      seed = OpenSSL::Random.random_bytes(Ed25519::KEY)
      invite = Invite.new(key: Ed25519.public_half(Ed25519.secret(seed)), uses: uses, sig: '',
                          not_after_millis: not_after ? (not_after.to_r * 1000).floor : 0)
      sig = sign(OwnerTexts.invite(name, public_key, invite))
      Inviter.new(seed, name: name, cluster_key: public_key, invite: invite.with(sig: sig))
    end
  end

  # An invite with its private half, by which whoever holds it becomes a member of one cluster.
  class Inviter < SecretKey
    # @return [Invite] what everybody may know of it
    attr_reader :invite

    # @param seed [String] the private half
    # @param name [String] of the cluster
    # @param cluster_key [String]
    # @param invite [Invite] whose key is that of the seed
    def initialize(seed, name:, cluster_key:, invite:)
      super(seed)
      @name = name
      @cluster_key = cluster_key
      @invite = invite.with(key: public_key)
    end

    # @param sig_key [String] whose node may become a member
    # @return [Admission]
    # @raise [AdmissionRefusedError] the invite is not the owner's
    def admit(sig_key)
      PublicKey.parse(sig_key, modern: true)
      sig = sign(OwnerTexts.admit(@name, @cluster_key, sig_key, public_key))
      Admission.new(invite: invite, sig: sig).tap { |admission| admission.check_invite(@name, @cluster_key) }
    end
  end
end
