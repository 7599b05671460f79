# frozen_string_literal: true

module Xlreg
  module Wire
    # What a message is. Peers may send any value. Each request is followed by its reply.
    module Op
      NAMES = %w[RegCredRequest RegCredReply Member MemberOK Create CreateReply Join JoinReply GetCluster
                 ClusterMembers Bye Ack Error Leave LeaveReply].freeze
      REG_CRED_REQUEST, REG_CRED_REPLY, MEMBER, MEMBER_OK, CREATE, CREATE_REPLY, JOIN, JOIN_REPLY,
        GET_CLUSTER, CLUSTER_MEMBERS, BYE, ACK, ERROR, LEAVE, LEAVE_REPLY = *1..15

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

    # The messages that a client sends.
    # @api private
    module Requests
      # Which that asks for all.
      ALL_SEATS = (1 << 64) - 1

      module_function

      # @param token [Token] to register, with its signatures as they are
      def member(token)
        fields = { Name: token.name, Attrs: token.attrs, ID: token.id&.bytes, CommsKey: token.comms_key,
                   SigKey: token.sig_key, MyEnds: token.endpoints.map(&:to_s), DigSig: token.digsig,
                   DigSig2: token.digsig2 }
        Message.build(Op::MEMBER, MemberSpecs: Pb::Token.new(**fields.compact))
      end

      # @param id [NodeID] to log in as
      # @param digsig [String, nil] the proof, over a classic carrier
      def login(id, digsig) = Message.build(Op::MEMBER, MemberID: id.bytes, DigSig: digsig)

      def create(name:, size:, endpoint_count:, attrs:)
        Message.build(Op::CREATE, ClusterName: name, ClusterMaxSize: size, ClusterAttrs: attrs,
                                  EndPointCount: endpoint_count)
      end

      # @param ref [ClusterRef]
      def join(ref) = about(Op::JOIN, ref)

      # @param ref [ClusterRef]
      def leave(ref) = about(Op::LEAVE, ref)

      # @param ref [ClusterRef]
      # @param which [Integer, nil] bits of seats. Left out, it stands for all with this registry, and for
      #   none with original servers, so it is always said.
      # @param wait_size [Integer, nil] with this or the next, it waits
      # @param wait_millis [Integer, nil]
      def get(ref, which: ALL_SEATS, wait_size: nil, wait_millis: nil)
        about(Op::GET_CLUSTER, ref, Which: which, WaitSize: wait_size, WaitMillis: wait_millis)
      end

      def bye = Message.build(Op::BYE)

      def reg_cred = Message.build(Op::REG_CRED_REQUEST)

      def about(code, ref, **more)
        Message.build(code, ClusterID: ref.id&.bytes, ClusterName: (ref.name unless ref.name.empty?), **more)
      end
    end
  end
end
