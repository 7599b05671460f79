# frozen_string_literal: true

require_relative 'helper'

# A relay between clients and a registry, in place of the network: it forwards, and does to connections what
# networks do to them.
class Relay
  CHUNK = 1 << 14

  # Runs the block with a relay, and ends that.
  def self.run(cred, **more)
    relay = new(cred, **more)
    yield relay
  ensure
    relay&.close
  end

  # @return [Array<Integer>] how many bytes of the registry's were forwarded on each connection
  attr_reader :counts

  # @return [Boolean] whether new connections are accepted, and nothing is forwarded on them ever
  attr_writer :mute

  # @param cred [Xlreg::RegCred] of the registry
  # @param besides [Array<String>] what its credentials are to have for endpoints besides the relay
  # @param rate [Integer, nil] bytes a second from the registry, on each connection
  # @param down [Proc, nil] given the number of the connection, where in its stream some bytes of the registry's
  #   are, and them; returns what is forwarded, or nil to break the connection off
  # @param up [Proc, nil] the same for the client's bytes
  def initialize(cred, besides: [], rate: nil, down: nil, up: nil)
    @cred = cred
    @besides = besides
    @mute = false
    @rate = rate
    @down = down || ->(_, _, data) { data }
    @up = up || ->(_, _, data) { data }
    @links = []
    @counts = []
    @gate = Gate.new
    open
  end

  # @return [Xlreg::RegCred] the registry's, with the relay for its address
  def cred
    Xlreg::RegCred.new(name: @cred.name, id: @cred.id, comms_key: @cred.comms_key, sig_key: @cred.sig_key,
                       endpoints: [*@besides, "127.0.0.1:#{@port}"], version: @cred.version)
  end

  # Listens again where it did.
  def open
    @listener = TCPServer.new('127.0.0.1', @port || 0)
    @port = @listener.local_address.ip_port
    @accepting = Thread.new(@listener) { |listener| accept(listener) }
  end

  # Listens no more: new connections are refused.
  def shut
    @listener.close
    @accepting.join
  end

  # Forwards nothing more of the connections that there are, and keeps them open. New ones are served.
  def freeze_connections = @links.each { |link| link.dead = true }

  # Forwards nothing while the block runs, and then all that came meanwhile.
  def hold(&) = @gate.shut_while(&)

  def close
    shut
    @links.each(&:close)
  end

  private

  def accept(listener)
    loop do
      client = listener.accept
      @links << Link.new(client, registry, @links.size, self, dead: @mute)
    rescue SystemCallError
      client&.close # there is no registry
    end
  rescue IOError
    nil # it listens no more
  end

  def registry
    endpoint = @cred.endpoints.first
    TCPSocket.new(endpoint.host, endpoint.port)
  end

  # What a link asks of its relay.
  public

  def passed(way, number, at, data)
    @gate.pass
    return @up.call(number, at, data) if way == :up

    sleep(data.bytesize.fdiv(@rate)) if @rate
    @counts[number] = at + data.bytesize
    @down.call(number, at, data)
  end

  def chunk = @rate ? [@rate / 20, 1].max : CHUNK

  # What lets things pass while it is not shut.
  class Gate
    def initialize
      @mutex = Mutex.new
      @opened = ConditionVariable.new
      @shut = false
    end

    def pass = @mutex.synchronize { @opened.wait(@mutex) while @shut }

    def shut_while
      @mutex.synchronize { @shut = true }
      yield
    ensure
      @mutex.synchronize do
        @shut = false
        @opened.broadcast
      end
    end
  end

  # One connection, forwarded in both directions.
  class Link
    # @return [Boolean] whether it forwards nothing more
    attr_writer :dead

    def initialize(client, registry, number, relay, dead:)
      @sockets = [client, registry]
      @number = number
      @relay = relay
      @dead = dead
      @threads = [Thread.new { forward(client, registry, :up) }, Thread.new { forward(registry, client, :down) }]
    end

    def close
      @threads.each { |thread| thread.kill.join }
      @sockets.each(&:close)
    end

    private

    def forward(from, to, way)
      at = 0
      loop do
        data = from.readpartial(@relay.chunk)
        next if @dead

        kept = @relay.passed(way, @number, at, data)
        next if @dead

        at += data.bytesize
        break unless kept

        to.write(kept)
      end
    rescue SystemCallError, IOError
      nil
    ensure
      end_both unless @dead
    end

    def end_both
      @sockets.each do |socket|
        socket.shutdown
      rescue SystemCallError, IOError
        nil # it has ended already
      end
    end
  end
end
