# frozen_string_literal: true

require 'io/wait'

module Xlreg
  # One connection, plain or in TLS, on which nothing takes longer than it may. It is all the I/O of a
  # session, and knows nothing of what it carries.
  # @api private
  class Transport
    CHUNK = 64 << 10

    # Time was up.
    class TimeUp < StandardError; end
    # The other end broke the connection off.
    class Broken < StandardError; end
    # The other end refused with a TLS alert.
    class Alert < StandardError; end

    BREAKS = [SystemCallError, IOError].freeze
    private_constant :BREAKS

    # Connects to an endpoint. Its addresses are tried in turn.
    # @param endpoint [Endpoint]
    # @param limit [Limit]
    # @return [Transport]
    def self.connect(endpoint, limit)
      failure = nil
      Addrinfo.getaddrinfo(endpoint.host, endpoint.port, nil, :STREAM).each do |address|
        return new(dial(address, limit))
      rescue SystemCallError, TimeUp => e
        failure = e
      end
      raise failure if failure.is_a?(TimeUp)

      raise Broken, failure ? failure.message : 'host has no address'
    rescue SocketError => e
      raise Broken, e.message
    end

    # @api private
    def self.dial(address, limit)
      left = limit.left
      raise TimeUp if left <= 0

      address.connect(timeout: left).tap { |socket| socket.setsockopt(:TCP, :NODELAY, true) }
    rescue Errno::ETIMEDOUT
      raise TimeUp
    end
    private_class_method :dial

    # @param socket [Socket] connected
    def initialize(socket)
      @socket = @io = socket
      @given_up = false
    end

    # Goes over to TLS.
    # @param context [OpenSSL::SSL::SSLContext]
    # @param limit [Limit]
    # @return [OpenSSL::SSL::SSLSocket] after the handshake
    def secure(context, limit)
      tls = OpenSSL::SSL::SSLSocket.new(@socket, context)
      attempt(limit) { tls.connect_nonblock(exception: false) }
      @io = tls
    end

    # @param limit [Limit]
    # @return [String, nil] what came; nil if the other end closed
    def read(limit) = attempt(limit) { @io.read_nonblock(CHUNK, exception: false) }

    # Sends all of data.
    # @param data [String]
    # @param limit [Limit]
    def write(data, limit)
      until data.empty?
        sent = attempt(limit) { @io.write_nonblock(data, exception: false) }
        data = data.byteslice(sent..)
      end
    end

    # Ends what is under way in another thread.
    def give_up
      @given_up = true
      @socket.shutdown
    rescue SystemCallError, IOError
      nil # it is closed already
    end

    # Closes the connection. May be called again.
    def close = @socket.closed? || @socket.close

    private

    def attempt(limit)
      loop do
        raise Broken, 'connection is closed' if @given_up

        result = yield
        return result unless %i[wait_readable wait_writable].include?(result)

        wait(result, limit)
      end
    rescue OpenSSL::SSL::SSLError => e
      raise failure(e)
    rescue *BREAKS => e
      raise Broken, e.message
    end

    def wait(what, limit)
      left = limit.left
      seconds = left.infinite? ? nil : left
      raise TimeUp unless left.positive? && @socket.public_send(what, seconds)
    end

    def failure(error)
      text = error.message.sub(/\A(?:.*error: |SSL_\w+: )/, '')
      error.message.include?('alert') ? Alert.new(text) : Broken.new(text)
    end
  end
end
