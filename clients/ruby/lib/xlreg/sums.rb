# frozen_string_literal: true

module Xlreg
  # The sums of the last revisions of a cluster, as a member has computed them, for the others to compare theirs with
  # (section 11.3).
  # @api private
  class Sums
    # How many revisions are remembered.
    MOST = 64
    # The sum of one revision, and what goes with it; seats are bits.
    Known = Struct.new(:state, :seats, :sum)
    private_constant :MOST

    # @param roster [Roster]
    def initialize(roster)
      @known = []
      add(roster)
    end

    # @param roster [Roster]
    def add(roster)
      return unless roster.sum

      one = Known.new(roster.state, Seats.of(roster.members.map(&:index)), roster.sum)
      older = @known.reject { |other| other.state.revision == one.state.revision }
      @known = [*older, one].last(MOST)
    end

    # @param revision [Integer]
    # @return [Known, nil] that of the revision if it is known, and else the last; nil if there is none
    def at(revision) = @known.find { |one| one.state.revision == revision } || @known.last
  end

  # What the other members see of the cluster, against what this node sees.
  #
  # @!attribute [r] same
  #   @return [Array<Member>] who see the same
  # @!attribute [r] other
  #   @return [Hash{Member => String}] who see another cluster, with the sum of that for people
  # @!attribute [r] unknown
  #   @return [Hash{Member => Error}] of whom it is not known: they cannot be asked, do not serve it, or have another
  #     revision, of which nothing can be said
  Comparison = Struct.new(:same, :other, :unknown, keyword_init: true) do
    include Value

    def initialize(other: {}, **rest) = super
  end

  # The end of a comparison that asks.
  # @api private
  class SumQuestion
    # What a member has answered: a sum of a revision, or an error.
    Answer = Struct.new(:member, :revision, :sum, :error)

    # @param context [OpenSSL::SSL::SSLContext] that accepts the member
    # @param member [Member]
    def initialize(context, member)
      context.alpn_protocols = [SUM_ALPN]
      @context = context
      @member = member
    end

    # @param cluster [ClusterID]
    # @param revision [Integer]
    # @param limit [Limit]
    # @return [Answer]
    def ask(cluster, revision, limit)
      reply = converse(Wire::Message.build(Wire::Op::GET_CLUSTER, ClusterID: cluster.bytes, Revision: revision), limit)
      raise reply.error if reply.error
      unless reply.op == Wire::Op::CLUSTER_MEMBERS && reply.raw.ClusterID == cluster.bytes
        raise ProtocolError, 'not the sum of this cluster'
      end

      Answer.new(@member, reply.raw.Revision, reply.raw.Sum, nil)
    rescue Error => e
      Answer.new(@member, 0, nil, e)
    rescue Transport::TimeUp, Transport::Broken, Transport::Alert, Transport::Foreign => e
      Answer.new(@member, 0, nil, SessionEndedError.new("not to be asked: #{e.message}"))
    end

    # @param sums [Sums] of this node
    # @param answers [Array<Answer>]
    # @return [Comparison]
    # @raise [OtherRosterError]
    def self.compare(sums, answers)
      verdicts = answers.group_by { |answer| verdict(sums.at(answer.revision), answer) }
      others = verdicts.fetch(:other, []).to_h { |answer| [answer.member, Sum.short(answer.sum)] }
      made = Comparison.new(same: verdicts.fetch(:same, []).map(&:member), other: others,
                            unknown: unknown(verdicts.fetch(:unknown, [])))
      return made if others.empty?

      names = others.keys.map { |member| Text.quote(member.name) }.join(', ')
      raise OtherRosterError.new("members see another cluster: #{names}", members: others.keys, comparison: made)
    end

    # @api private
    def self.verdict(own, answer)
      return :unknown if answer.error || own.nil? || own.state.revision != answer.revision

      own.sum == answer.sum ? :same : :other
    end

    # @api private
    def self.unknown(answers)
      answers.to_h do |answer|
        why = "it has revision #{answer.revision}, of which this node knows nothing"
        [answer.member, answer.error || SessionEndedError.new(why)]
      end
    end
    private_class_method :verdict, :unknown

    private

    def converse(message, limit)
      endpoint = @member.endpoints.first or raise AddressError, 'it has no address'
      timing = Timing::DEFAULT
      pace = Pace.new(limit, first: timing.stall, stall: timing.stall, whole: timing.handshake)
      transport = Transport.connect(endpoint, limit, timing)
      tls = transport.secure(@context, pace)
      raise NotARegistryError, "it does not serve #{SUM_ALPN}" unless tls.alpn_protocol == SUM_ALPN

      exchange(transport, message, pace)
    ensure
      transport&.close
    end

    def exchange(transport, message, pace)
      framing = Codec::Framing.new(read_max: Limits::MAX_REQUEST)
      transport.write(framing.encode(message), pace)
      until (reply = framing.next)
        framing.feed(transport.read(pace) || raise(Transport::Broken, 'it closed the connection'))
      end
      reply
    end
  end

  # The end of a comparison that answers.
  # @api private
  class SumAnswer
    # Seconds without a question after which the connection is closed.
    PATIENCE = 10.0
    CHUNK = 4096
    private_constant :PATIENCE, :CHUNK

    # @param cluster [ClusterID]
    # @param sums [Sums]
    def initialize(cluster, sums)
      @cluster = cluster
      @sums = sums
    end

    # @param connection [OpenSSL::SSL::SSLSocket]
    def serve(connection)
      framing = Codec::Framing.new(read_max: Limits::MAX_REQUEST)
      while (question = heard(connection, framing))
        connection.write(framing.encode(answer(question)))
      end
    rescue ProtocolError, SystemCallError, IOError, OpenSSL::SSL::SSLError
      nil # the other end is no one to talk with
    ensure
      connection.close
    end

    private

    def heard(connection, framing)
      until (message = framing.next)
        data = connection.read_nonblock(CHUNK, exception: false) or return
        next framing.feed(data) if data.is_a?(String)

        io = connection.to_io
        return unless data == :wait_readable ? io.wait_readable(PATIENCE) : io.wait_writable(PATIENCE)
      end
      message
    end

    def answer(question)
      known = @sums.at(question.raw.Revision)
      return error(WrongStateError) unless question.op == Wire::Op::GET_CLUSTER
      return error(NoSuchClusterIDError) unless known && question.raw.ClusterID == @cluster.bytes

      Wire::Message.build(Wire::Op::CLUSTER_MEMBERS, ClusterID: @cluster.bytes, Epoch: known.state.epoch,
                                                     Revision: known.state.revision, WhichSet: '',
                                                     SeatSet: Seats.write(known.seats), Sum: known.sum)
    end

    def error(kind) = Wire::Message.build(Wire::Op::ERROR, ErrDesc: kind::TEXT, ErrCode: kind::CODE)
  end
end
