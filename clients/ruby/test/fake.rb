# frozen_string_literal: true

require_relative 'real'
require_relative 'vectors'

# A registry in this process that does as it is told, well or badly. It serves each connection in a thread
# of its own, and ends with the block that it was given to.
class FakeRegistry
  Op = Xlreg::Wire::Op
  Message = Xlreg::Wire::Message
  COMMS = Vectors.key('registry-comms')
  SIG = Vectors.key('registry-sig')
  OTHER = Vectors.key('other-sig')
  ID = ('r' * 32).b
  NODE_ID = Xlreg::NodeID.new(('n' * 32).b)
  OTHER_ID = Xlreg::NodeID.new(('o' * 32).b)
  CLUSTER = Xlreg::Cluster.new(id: Xlreg::ClusterID.new(('c' * 32).b), name: 'web', attrs: 0, size: 2,
                               endpoint_count: 1)
  # What a peer that went away makes of reading and writing.
  GONE = [SystemCallError, IOError, OpenSSL::SSL::SSLError, Xlreg::Error].freeze

  class << self
    # Runs the block with a fake, and ends that.
    def run(protocol, script = {}, **more)
      fake = new(Xlreg::Protocol.of(protocol), script, **more)
      yield fake
    ensure
      fake&.close
    end

    # @return [Message] with these fields
    def reply(code, **fields) = Message.build(code, **fields)

    # @return [Message] the Error that stands for an error
    def error(error)
      Message.build(Op::ERROR, ErrDesc: error.message, ErrCode: error.code,
                               RetryMillis: (error.retry_after * 1000).round)
    end

    # Fills in what a ClusterMembers of 2.0 says of the members that are in it, all of whom are the cluster's.
    def finish(message)
      raw = message.raw
      raw.Epoch = raw.Revision = 1
      raw.SeatSet = raw.WhichSet = Xlreg::Seats.write(Xlreg::Seats.below(raw.Tokens.size))
      raw.Sum = ''
      members = raw.Tokens.each_with_index.map do |token, index|
        Xlreg::Member.new(index: index, token: Xlreg::Wire::Reading.roster_token(token, classic: false))
      end
      raw.Sum = Xlreg::Sum.of(Xlreg::Roster.new(cluster: message.cluster, state: message.state, members: members))
    end

    # @return [Message] one that holds a cluster
    def cluster_reply(code, cluster = CLUSTER)
      Message.build(code, ClusterID: cluster.id.bytes, ClusterName: cluster.name, ClusterMaxSize: cluster.size,
                          ClusterAttrs: cluster.attrs, EndPointCount: cluster.endpoint_count)
    end
  end

  # @return [Xlreg::Protocol]
  attr_reader :protocol
  # @return [Array<Integer>] the operations that came, in order
  attr_reader :said
  # @return [Hash{Integer => Proc}] what answers each: a Message, bytes that are none, nil for the end of the
  #   connection, or :silence
  attr_reader :script
  # @return [Hash{Xlreg::NodeID => Xlreg::Token}] the members
  attr_reader :tokens

  # @param script [Hash{Integer => Proc}] what is answered otherwise than a registry should
  # @param handshake [Proc, nil] given the socket; returns the connection and its codec, or nil
  def initialize(protocol, script = {}, handshake: nil, sig: SIG)
    @protocol = protocol
    @sig = sig
    @script = well_behaved.merge(script)
    @handshake = handshake || (protocol.classic? ? Handshakes.classic : Handshakes.tls)
    @said = []
    @tokens = {}
    @listener = TCPServer.new('127.0.0.1', 0)
    @serving = ThreadGroup.new
    @accepting = Thread.new { accept }
  end

  # @return [Integer]
  def port = @listener.local_address.ip_port

  # @return [Xlreg::RegCred]
  def cred
    Xlreg::RegCred.new(name: 'fake', id: Xlreg::NodeID.new(ID), comms_key: Xlreg::PublicKey.der(COMMS),
                       sig_key: Xlreg::PublicKey.der(@sig), endpoints: ["127.0.0.1:#{port}"],
                       version: Xlreg::DecimalVersion.new(2))
  end

  # Makes a node a member.
  def join(node, id, now: Time.now)
    token, = node.token(protocol: protocol, id: id, now: now)
    @tokens[id] = token
  end

  # @return [Message] the members that there are
  def roster
    tokens = @tokens.map do |id, token|
      raw = Xlreg::Wire::Requests.member(token.with(digsig: nil)).raw.MemberSpecs
      raw.Run = @run if @run && id == NODE_ID
      raw
    end
    message = FakeRegistry.cluster_reply(Op::CLUSTER_MEMBERS, CLUSTER.with(size: [CLUSTER.size, tokens.size].max))
    message.raw.Tokens.replace(tokens)
    protocol.classic? ? message.raw.Which = (1 << tokens.size) - 1 : FakeRegistry.finish(message)
    message
  end

  # @return [Message] a RegCredReply with this sig key
  def reg_cred(sig = @sig)
    token = Xlreg::Token.new(name: 'fake', comms_key: Xlreg::PublicKey.der(COMMS),
                             sig_key: Xlreg::PublicKey.der(sig), endpoints: cred.endpoints, id: Xlreg::NodeID.new(ID))
    specs = Xlreg::Wire::Requests.member(token).raw.MemberSpecs
    Message.build(Op::REG_CRED_REPLY, MemberSpecs: specs, Version: 2)
  end

  def close
    @listener.close
    @accepting.join # what it accepted last is being served
    @serving.list.each do |thread|
      thread.kill.join
      thread[:socket].close # one that is killed before it begins, or on its way out, has not done so
    end
  end

  private

  def well_behaved
    { Op::MEMBER => method(:member),
      Op::CREATE => ->(_) { FakeRegistry.cluster_reply(Op::CREATE_REPLY) },
      Op::JOIN => method(:joined),
      Op::GET_CLUSTER => ->(_) { roster },
      Op::LEAVE => ->(_) { FakeRegistry.reply(Op::LEAVE_REPLY, ClusterID: CLUSTER.id.bytes) },
      Op::REG_CRED_REQUEST => ->(_) { reg_cred },
      Op::BYE => ->(_) { FakeRegistry.reply(Op::ACK) } }
  end

  def joined(message)
    @run = message.raw.Run
    FakeRegistry.cluster_reply(Op::JOIN_REPLY)
  end

  def member(message)
    specs = message.raw.MemberSpecs
    register(Xlreg::Wire::Reading.token(specs)) if specs
    FakeRegistry.reply(Op::MEMBER_OK, MemberID: NODE_ID.bytes)
  rescue Xlreg::BadSignatureError => e
    FakeRegistry.error(e)
  end

  def register(token)
    Xlreg::Signatures.verify_classic(token) if protocol.classic?
    @tokens = { NODE_ID => token.with(id: NODE_ID) }.merge(@tokens.except(NODE_ID))
  end

  def accept
    loop do
      socket = @listener.accept
      thread = Thread.new { serve(socket) }
      thread[:socket] = socket
      @serving.add(thread)
    end
  rescue IOError
    nil # it listens no more
  end

  def serve(socket)
    connection, codec = @handshake.call(socket)
    converse(connection, codec) if codec
  rescue *GONE
    nil
  ensure
    socket.close
  end

  def converse(connection, codec)
    while (message = heard(connection, codec))
      @said << message.op
      answer = @script.fetch(message.op).call(message)
      return if answer.nil?
      return connection.read if answer == :silence

      connection.write(answer.is_a?(String) ? answer : codec.encode(answer))
      return if message.op == Op::BYE
    end
  end

  def heard(connection, codec)
    until (message = codec.next)
      codec.feed(connection.readpartial(65_536))
    end
    message
  end
end

# How a registry begins a connection, as it should and otherwise.
module Handshakes
  module_function

  # @param seal [Proc] makes the answer to a Hello
  # @param codec [Class] of what follows
  def classic(seal: ->(hello, reply) { hello.seal(reply) }, codec: Xlreg::Codec::Cipher)
    lambda do |socket|
      hello = Xlreg::Classic::Hello.decrypt(socket.read(FakeRegistry::COMMS.n.num_bits / 8), FakeRegistry::COMMS)
      reply = Xlreg::Classic::HelloReply.make(hello.protocol)
      socket.write(seal.call(hello, reply))
      [socket, codec.new(reply)]
    end
  end

  # Answers a Hello with less than a whole answer.
  def short_reply = classic(seal: ->(hello, reply) { hello.seal(reply)[0...-16] })

  # Answers a Hello with the salt of another; in 1.9, which repeats none, under another key.
  def wrong_salt
    classic(seal: lambda do |hello, reply|
      change = hello.protocol == Xlreg::Protocol::V18 ? { salt1: 'anothers' } : { key1: 'k' * 32 }
      hello.with(**change).seal(reply)
    end)
  end

  # Is another registry, which cannot decrypt the Hello and makes something up.
  def wrong_key = ->(socket) { socket.readpartial(256) && socket.write('x' * 80) && nil }

  # Closes before a word is said.
  def closes = ->(_) {}

  # Says nothing.
  def silent = ->(socket) { socket.read && nil }

  # Speaks something else altogether.
  def talks_nonsense = ->(socket) { socket.write("HTTP/1.1 400 Bad Request\r\n\r\n" * 4) && nil }

  # Refuses the first message with an alert in the clear.
  def alert(socket, number)
    socket.readpartial(4096)
    socket.write([21, 3, 3, 0, 2, 2, number].pack('C*')) && socket.read && nil
  end

  # @param admit [Boolean] whether the client's certificate will do
  # @param options [Hash] see chain
  def tls(alpn: 'xlreg/2', admit: true, **options)
    leaf, key, root = chain(**options)
    lambda do |socket|
      context = OpenSSL::SSL::SSLContext.new
      context.min_version = OpenSSL::SSL::TLS1_3_VERSION
      context.add_certificate(leaf, key, [root])
      context.alpn_select_cb = ->(_) { alpn } if alpn
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER
      context.verify_callback = ->(*) { admit }
      [OpenSSL::SSL::SSLSocket.new(socket, context).accept,
       Xlreg::Codec::Framing.new(read_max: Xlreg::Limits::MAX_REQUEST, write_max: Xlreg::Limits::MAX_REPLY)]
    end
  end

  # Is a registry whose next key is at work, for which the old one vouches.
  def succession
    leaf, key, root = chain(signer: FakeRegistry::OTHER)
    _, _, old = chain
    authority = [['basicConstraints', 'CA:TRUE', true]]
    cross = certificate('root', FakeRegistry::OTHER, FakeRegistry::SIG, [Time.now - 86_400, 181], authority)
    lambda do |socket|
      context = OpenSSL::SSL::SSLContext.new
      context.min_version = OpenSSL::SSL::TLS1_3_VERSION
      context.add_certificate(leaf, key, [root, cross, old])
      context.alpn_select_cb = ->(_) { 'xlreg/2' }
      [OpenSSL::SSL::SSLSocket.new(socket, context).accept,
       Xlreg::Codec::Framing.new(read_max: Xlreg::Limits::MAX_REQUEST, write_max: Xlreg::Limits::MAX_REPLY)]
    end
  end

  # @param signer [OpenSSL::PKey::RSA] the registry's sig key
  # @param days [Numeric] from the first to the last of the leaf, which is valid since a day ago
  # @return [Array] a leaf, its key and its root
  def chain(signer: FakeRegistry::SIG, days: 7, since: Time.now - 86_400, usage: 'serverAuth', authority: 'FALSE')
    key = OpenSSL::PKey::EC.generate('prime256v1')
    extensions = [['basicConstraints', "CA:#{authority}", true], ['extendedKeyUsage', usage, false]]
    root = certificate('root', signer, signer, [since, 7])
    [certificate('leaf', key, signer, [since, days], extensions), key, root]
  end

  def certificate(name, key, signer, dates, extensions = [])
    since, days = dates
    made = OpenSSL::X509::Certificate.new
    made.version = 2
    made.serial = OpenSSL::BN.rand(64)
    made.subject = OpenSSL::X509::Name.new([['CN', name]])
    made.issuer = OpenSSL::X509::Name.new([%w[CN root]])
    made.public_key = key
    made.not_before = since
    made.not_after = since + (days * 86_400)
    extensions.each { |one| made.add_extension(OpenSSL::X509::ExtensionFactory.new.create_extension(*one)) }
    made.sign(signer, 'SHA256')
  end
end
