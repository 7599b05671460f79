# frozen_string_literal: true

require 'io/wait'

module Xlreg
  # One connection, plain or in TLS, with a bound on the time of each step. It does all the I/O of a session,
  # and knows nothing about what it carries.
  # @api private
  class Transport
    CHUNK = 64 << 10

    # Time was up.
    class TimeUp < StandardError; end
    # The other end broke the connection off.
    class Broken < StandardError; end
    # The other end refused the certificate that it was shown.
    class Alert < StandardError; end
    # The other end speaks something else.
    class Foreign < StandardError; end

    BREAKS = [SystemCallError, IOError].freeze
    KEEPING = { TCP_KEEPIDLE: 10, TCP_KEEPINTVL: 5, TCP_KEEPCNT: 3, TCP_USER_TIMEOUT: 25_000 }.freeze
    # The alerts by which a server refuses a certificate.
    REFUSAL = /alert (?:bad certificate|unsupported certificate|certificate \w+|unknown ca|access denied)/
    # The alerts of a server of something else. All others say that the connection is broken.
    OTHER_SERVER = /alert (?:no application protocol|protocol version)/
    # How a server without TLS begins its answer. TLS never begins with bytes like these.
    PLAIN_TEXT = /\A[\t\r\n -~]{5}/n
    private_constant :BREAKS, :KEEPING, :REFUSAL, :OTHER_SERVER, :PLAIN_TEXT

    # Connects to an endpoint. If its host has several addresses, they race.
    # @param endpoint [Endpoint]
    # @param limit [Limit]
    # @param timing [Timing]
    # @return [Transport]
    def self.connect(endpoint, limit, timing)
      found = addresses(endpoint, limit.within(timing.connect))
      socket, failures = Race.run(found, timing.head_start, SystemCallError, TimeUp) do |address|
        dial(address, limit.within(timing.connect))
      end
      return new(socket) if socket

      failure = failures.last || Broken.new('host has no address')
      raise failure if failure.is_a?(TimeUp)

      raise Broken, failure.message
    end

    # Looks up the addresses of a host. The system's resolver takes no timeout, so names are looked up in a
    # thread, which ends when the resolver gives up.
    # @api private
    def self.addresses(endpoint, limit)
      look = -> { Addrinfo.getaddrinfo(endpoint.host, endpoint.port, nil, :STREAM) }
      return look.call if endpoint.address

      looking = Thread.new do
        Thread.current.report_on_exception = false
        look.call
      end
      looking.join(limit.left) or raise TimeUp
      looking.value
    rescue SocketError => e
      raise Broken, e.message
    end

    # @api private
    def self.dial(address, limit)
      left = limit.left
      raise TimeUp if left <= 0

      socket = Worker.open { Socket.new(address.pfamily, :STREAM) }
      await(socket, address, left)
      prepare(socket)
      connected = socket
    rescue Errno::ETIMEDOUT
      raise TimeUp
    ensure
      socket&.close unless connected
    end

    # @api private
    def self.await(socket, address, seconds)
      return unless socket.connect_nonblock(address, exception: false) == :wait_writable

      socket.wait_writable(seconds) or raise TimeUp
      socket.connect_nonblock(address)
    rescue Errno::EISCONN
      nil # which is what was wanted
    end

    # Has the system probe the other end after 10 seconds of silence and every 5 after that, and break the
    # connection after 25. The same goes for data that was sent and is not acknowledged.
    # @api private
    def self.prepare(socket)
      socket.setsockopt(:TCP, :NODELAY, true)
      socket.setsockopt(:SOCKET, :KEEPALIVE, true)
      KEEPING.select { |name, _| Socket.const_defined?(name) }
             .each { |name, value| socket.setsockopt(:TCP, Socket.const_get(name), value) }
    end
    private_class_method :dial, :await, :prepare

    # @param socket [Socket] connected
    def initialize(socket)
      @socket = @io = socket
      @given_up = false
    end

    # Switches to TLS.
    # @param context [OpenSSL::SSL::SSLContext]
    # @param pace [Pace]
    # @return [OpenSSL::SSL::SSLSocket] after the handshake
    def secure(context, pace)
      tls = OpenSSL::SSL::SSLSocket.new(@socket, context)
      begun = false
      attempt(pace) do
        begun ||= look_at_first_bytes
        tls.connect_nonblock(exception: false)
      end
      @io = tls
    end

    # @param pace [Pace]
    # @return [String, nil] what came; nil if the other end closed
    def read(pace) = attempt(pace) { @io.read_nonblock(CHUNK, exception: false) }

    # Sends all of data.
    # @param data [String]
    # @param pace [Pace]
    def write(data, pace)
      until data.empty?
        sent = attempt(pace) { @io.write_nonblock(data, exception: false) }
        data = data.byteslice(sent..)
      end
    end

    # Ends the call that is under way in another thread.
    def give_up
      @given_up = true
      @socket.shutdown
    rescue SystemCallError, IOError
      nil # it is closed already
    end

    # Closes the connection. May be called again.
    def close = @socket.closed? || @socket.close

    private

    def attempt(pace)
      loop do
        raise Broken, 'connection is closed' if @given_up

        result = yield
        return result unless %i[wait_readable wait_writable].include?(result)

        wait(result, pace)
      end
    rescue OpenSSL::SSL::SSLError => e
      raise failure(e)
    rescue *BREAKS => e
      raise Broken, e.message
    end

    def wait(what, pace)
      left = pace.left
      raise TimeUp unless left.positive? && @socket.public_send(what, left)

      pace.moved
    end

    # Looks at the first bytes of the other end before TLS reads them.
    # @return [Boolean] whether there was any
    def look_at_first_bytes
      seen = @socket.recv_nonblock(5, Socket::MSG_PEEK, exception: false)
      raise Foreign, 'it answers in plain text' if seen.is_a?(String) && PLAIN_TEXT.match?(seen)

      seen != :wait_readable
    end

    def failure(error)
      text = error.message.sub(/\A(?:.*error: |SSL_\w+: )/, '')
      case error.message
      when REFUSAL then Alert.new(text)
      when OTHER_SERVER then Foreign.new("it refuses what registries speak: #{text}")
      else Broken.new(text)
      end
    end
  end
end
