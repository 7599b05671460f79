# frozen_string_literal: true

require_relative 'fake'

# A fake of the original servers, which are stricter than this project's: each message has its turn, and what
# is out of turn is an Error and the end of the session.
class OriginalRegistry < FakeRegistry
  CREDENTIALS = { Xlreg::Protocol::V18 => [1, 8, 4], Xlreg::Protocol::V19 => [1, 9, 24] }.freeze
  # Which message may come in which state, and to which it leads.
  LEGAL = {
    greeted: { Op::MEMBER => :known }, known: { Op::CREATE => :created, Op::JOIN => :joined },
    created: { Op::JOIN => :joined }, joined: { Op::GET_CLUSTER => :joined }
  }.freeze
  UNNAMED = 'xlCluster'

  # A cluster, and the tokens of its members in the order in which they came.
  Listed = Struct.new(:id, :name, :size, :endpoint_count, :tokens)

  # The codec of the originals, which send a message of any length.
  class Codec
    def initialize(reply)
      @opener = Xlreg::Codec::Opener.new(reply.key2, reply.iv2)
      @key = reply.key2
      @chain = reply.iv2
    end

    def feed(data) = @opener.feed(data)

    def next = @opener.next&.first

    def encode(message)
      head = @chain.empty? ? OpenSSL::Random.random_bytes(16) : ''.b
      data = Xlreg::Classic.encrypt(@key, @chain + head, Xlreg::Classic.pad(message.encode))
      @chain = data.byteslice(-16, 16) unless @chain.empty?
      head + data
    end
  end

  # What is wrong, in the server's own words.
  class Refusal < StandardError; end

  # @param lose_races [Boolean] whether the first Create of each name is told that another was faster
  def initialize(protocol, lose_races: false)
    @lose_races = lose_races
    @mutex = Mutex.new
    @clusters = {}
    super(protocol, handshake: Handshakes.classic(codec: Codec))
  end

  def self.run(protocol, **more)
    fake = new(Xlreg::Protocol.of(protocol), **more)
    yield fake
  ensure
    fake&.close
  end

  def cred
    Xlreg::RegCred.parse(super.to_s.sub('Version: 2.0', "Version: #{CREDENTIALS.fetch(protocol).join('.')}"))
  end

  private

  def converse(connection, codec)
    session = { state: :greeted }
    until session[:state] == :over
      message = heard(connection, codec)
      @said << message.op
      answer = @mutex.synchronize { answer(session, message) }
      connection.write(codec.encode(answer))
    end
  end

  def answer(session, message)
    return over(session, FakeRegistry.reply(Op::ACK)) if message.op == Op::BYE

    to = LEGAL.fetch(session[:state])[message.op] or raise Refusal, 'invalid msg type for current state'
    reply = send(Op.name(message.op), session, message.raw)
    session[:state] = to
    reply
  rescue Refusal => e
    over(session, FakeRegistry.reply(Op::ERROR, ErrDesc: e.message))
  end

  def over(session, reply)
    session[:state] = :over
    reply
  end

  def Member(session, raw) # rubocop:disable Naming/MethodName
    token = Xlreg::Wire::Reading.token(raw.MemberSpecs)
    Xlreg::Signatures.verify_classic(token)
    session[:token] = raw.MemberSpecs
    FakeRegistry.reply(Op::MEMBER_OK, MemberID: raw.MemberSpecs.ID, MemberAttrs: raw.MemberSpecs.Attrs)
  end

  def Create(session, raw) # rubocop:disable Naming/MethodName
    name = raw.ClusterName
    session[:cluster] = @clusters[name] || make(name, raw)
    describe(Op::CREATE_REPLY, session[:cluster])
  end

  # A name is looked up as it was sent, and an empty one is kept as another.
  def make(name, raw)
    name = UNNAMED if name.empty?
    raise Refusal, 'name already in use' if @clusters.key?(name)

    made = Listed.new(OpenSSL::Random.random_bytes(20), name, raw.ClusterMaxSize, raw.EndPointCount, [])
    @clusters[name] = made
    raise Refusal, 'name already in use' if @lose_races

    made
  end

  # Whoever comes with a name that is there is told nothing of that.
  def Join(session, raw) # rubocop:disable Naming/MethodName
    cluster = session[:cluster] = named(session, raw)
    token = session[:token]
    cluster.tokens << token if cluster.tokens.none? { |one| one.Name == token.Name }
    describe(Op::JOIN_REPLY, cluster)
  end

  def named(session, raw)
    return by_id(raw.ClusterID) if raw.has_ClusterID?
    return @clusters[raw.ClusterName] || raise(Refusal, 'cannot find cluster with this name') if raw.has_ClusterName?

    session[:cluster] || raise(Refusal, 'missing cluster name or ID')
  end

  def by_id(id)
    @clusters.each_value.find { |one| one.id == id } or raise Refusal, "can't find cluster with ID #{id.unpack1('H*')}"
  end

  # A cluster is looked up by ID alone; no Which is a request for nobody; all tokens come in one message.
  def GetCluster(_session, raw) # rubocop:disable Naming/MethodName
    cluster = by_id(raw.ClusterID)
    which = raw.Which & ((1 << cluster.tokens.size) - 1)
    tokens = cluster.tokens.each_with_index.filter_map { |token, i| shown(token) if which[i] == 1 }
    FakeRegistry.reply(Op::CLUSTER_MEMBERS, ClusterID: cluster.id, Which: which, Tokens: tokens)
  end

  # All but the signature.
  def shown(token) = token.dup.tap(&:clear_DigSig)

  def describe(code, cluster)
    FakeRegistry.reply(code, ClusterID: cluster.id, ClusterMaxSize: cluster.size, ClusterAttrs: 0,
                             EndPointCount: cluster.endpoint_count)
  end
end
