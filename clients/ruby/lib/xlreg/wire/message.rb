# frozen_string_literal: true

module Xlreg
  module Wire
    # What a message is. Peers may send any value. Each request is followed by its reply.
    module Op
      NAMES = %w[RegCredRequest RegCredReply Member MemberOK Create CreateReply Join JoinReply GetCluster
                 ClusterMembers Bye Ack Error Leave LeaveReply Order OrderReply].freeze
      REG_CRED_REQUEST, REG_CRED_REPLY, MEMBER, MEMBER_OK, CREATE, CREATE_REPLY, JOIN, JOIN_REPLY,
        GET_CLUSTER, CLUSTER_MEMBERS, BYE, ACK, ERROR, LEAVE, LEAVE_REPLY, ORDER, ORDER_REPLY = *1..17

      # @param code [Integer]
      # @return [String] the protocol's name of an operation
      def self.name(code) = code.between?(1, NAMES.size) ? NAMES[code - 1] : "Op(#{code})"
    end

    # One message of the protocol (section 4), on its way in or out. Reading has two steps, since they
    # fail differently: decode decides whether some bytes are a message at all, and the readers
    # (see Reading) then check its content. Requests makes those of a client.
    # @api private
    class Message
      include Reading

      # @return [Pb::XLRegMsg]
      attr_reader :raw

      # @param raw [Pb::XLRegMsg]
      def initialize(raw)
        @raw = raw
      end

      # Makes a message; members that are nil are left out.
      # @return [Message]
      def self.build(code, **fields) = new(Pb::XLRegMsg.new(Op: code, **fields.compact))

      # Reads one message.
      # @param data [String]
      # @return [Message]
      # @raise [ProtocolError] it does not parse, or has no Op. Every other fault is for the readers to find.
      def self.decode(data)
        # Decoded, an empty token takes a hundred times its three bytes.
        Scan.check(data)
        raw = Pb::XLRegMsg.decode(data)
        raise ProtocolError, 'message without Op' unless raw.has_Op?

        new(raw)
      rescue Google::Protobuf::ParseError
        raise ProtocolError, 'not an XLRegMsg'
      end

      # @return [String] does not show what is in it
      def inspect = "#<#{self.class} #{name}>"

      # @return [Integer] what the message is
      def op = raw.Op

      # @return [String] the name of its operation
      def name = Op.name(op)

      # @return [String] the bytes of the message
      def encode = Pb::XLRegMsg.encode(raw)
    end

    # How a node joins a cluster over 2.0.
    #
    # @!attribute [r] admission
    #   @return [String, nil] the leave of the cluster's owner, as it travels
    # @!attribute [r] run
    #   @return [String, nil] names this start of the program
    # @!attribute [r] fresh
    #   @return [Boolean] whether to meet members of this start alone
    # @!attribute [r] lease
    #   @return [Numeric, nil] for how many seconds the seat lasts without a sign of life; nil is for ever
    # @api private
    Entry = Struct.new(:admission, :run, :fresh, :lease, keyword_init: true) do
      include Value

      def initialize(fresh: false, **rest) = super
    end

    Entry::PLAIN = Entry.new

    # The messages that a client sends.
    # @api private
    module Requests
      module_function

      # @param token [Token] to register, with its signatures as they are
      def member(token)
        Message.build(Op::MEMBER, MemberSpecs: Pb::Token.new(**own(token)))
      end

      # What a node says of itself.
      def own(token)
        { Name: token.name, Attrs: token.attrs, ID: token.id&.bytes, CommsKey: token.comms_key,
          SigKey: token.sig_key, MyEnds: token.endpoints.map(&:to_s), DigSig: token.digsig,
          DigSig2: token.digsig2, Certificate: token.certificate, CommsSig: token.comms_sig,
          Labels: token.labels }.compact
      end

      # @param id [NodeID] to log in as
      # @param digsig [String, nil] the proof, over a classic carrier
      def login(id, digsig) = Message.build(Op::MEMBER, MemberID: id.bytes, DigSig: digsig)

      # @param key [String, nil] of the cluster's owner
      # @param sig [String, nil] by it
      def create(name:, size:, endpoint_count:, attrs:, key: nil, sig: nil)
        Message.build(Op::CREATE, ClusterName: name, ClusterMaxSize: size, ClusterAttrs: attrs,
                                  EndPointCount: endpoint_count, ClusterKey: key, OwnerSig: sig)
      end

      # @param ref [ClusterRef]
      # @param entry [Entry] how
      def join(ref, entry = Entry::PLAIN)
        about(Op::JOIN, ref, Admission: entry.admission, Run: entry.run, Fresh: (true if entry.fresh),
                             LeaseMillis: entry.lease && (entry.lease * 1000).round)
      end

      # @param ref [ClusterRef]
      def leave(ref) = about(Op::LEAVE, ref)

      # @param ref [ClusterRef]
      # @param classic [Boolean] whether it goes over a classic carrier
      # @param which [Integer, nil] bits of seats; nil asks for all. Left out of a classic message, original servers
      #   take it for none, so there it is always said.
      # @param wait [Hash] wait_size, wait_millis, since_revision, wait_epoch and sign: with one of the first four it
      #   may wait
      def get(ref, classic:, which: nil, **wait)
        fields = { WaitSize: wait[:wait_size], WaitMillis: wait[:wait_millis] }
        return about(Op::GET_CLUSTER, ref, Which: which || Seats::CLASSIC, **fields) if classic

        about(Op::GET_CLUSTER, ref, WhichSet: which && Seats.write(which), SinceRevision: wait[:since_revision],
                                    WaitEpoch: wait[:wait_epoch], Sign: wait[:sign], **fields)
      end

      # @param bytes [String] of an Order
      # @param sig [String] of the owner
      def order(bytes, sig) = Message.build(Op::ORDER, OwnerOrder: bytes, OwnerSig: sig)

      # Makes a ClusterMembers that holds some of the members of a roster, as a registry sends it.
      # @param roster [Roster]
      # @param members [Array<Member>]
      def part(roster, members)
        cluster = roster.cluster
        state = roster.state
        Message.build(Op::CLUSTER_MEMBERS, ClusterID: cluster.id.bytes, ClusterName: cluster.name,
                                           ClusterMaxSize: cluster.size, ClusterAttrs: cluster.attrs,
                                           EndPointCount: cluster.endpoint_count, ClusterKey: cluster.key,
                                           Tokens: members.map { |member| seated(member.token) },
                                           Epoch: state.epoch, Revision: state.revision, Orders: state.orders,
                                           SeatSet: Seats.write(Seats.of(roster.members.map(&:index))),
                                           WhichSet: Seats.write(Seats.of(members.map(&:index))), Sum: roster.sum)
      end

      # @param token [Token]
      # @return [Pb::Token] with what a registry says of the seat
      def seated(token)
        seat = { JoinedMillis: millis(token.joined), SeenMillis: millis(token.seen), Admission: token.admission,
                 LeaseMillis: token.lease && (token.lease * 1000).round, Run: token.run }
        Pb::Token.new(**own(token).except(:DigSig), **seat.compact)
      end

      def millis(time) = time && (time.to_r * 1000).round

      def bye = Message.build(Op::BYE)

      def reg_cred = Message.build(Op::REG_CRED_REQUEST)

      def about(code, ref, **more)
        Message.build(code, ClusterID: ref.id&.bytes, ClusterName: (ref.name unless ref.name.empty?),
                            ClusterKey: ref.key, **more)
      end
    end
  end
end
