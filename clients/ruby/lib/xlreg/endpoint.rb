# frozen_string_literal: true

require 'ipaddr'

module Xlreg
  # A TCP address as it travels: host:port; the host IPv4, [IPv6] without a zone, or a DNS name
  # (section 1.3).
  #
  #     Xlreg::Endpoint.new('[::1]:7001').host  # => "::1"
  class Endpoint
    OCTET = /(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)/
    IPV4 = /\A#{OCTET}(?:\.#{OCTET}){3}\z/
    IPV6 = /\A\[([0-9A-Fa-f:.]{2,45})\]\z/
    LABELS = /\A[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*\z/
    PORT = /\A[1-9]\d{0,4}\z/
    private_constant :OCTET, :IPV4, :IPV6, :LABELS, :PORT

    # @return [String] the text as it was given
    attr_reader :to_s
    # @return [String] the host, without brackets
    attr_reader :host
    # @return [Integer] 1 to 65535
    attr_reader :port
    # @return [IPAddr, nil] the host as an IP address; nil if it is a DNS name
    attr_reader :address

    # @param text [String, Endpoint]
    # @raise [EndpointError] it is none; the text says why
    def initialize(text)
      text = text.to_s
      if text.bytesize > Limits::MAX_ENDPOINT
        raise EndpointError,
              "endpoint of #{text.bytesize} bytes: at most #{Limits::MAX_ENDPOINT} allowed"
      end

      @to_s = text.dup.freeze
      host, colon, port = text.ascii_only? ? text.rpartition(':') : ['', '', '']
      refuse('want host:port with an IPv4 address, [IPv6] or a DNS name') if colon.empty?
      refuse('a host that begins with - is an option to other programs') if host.start_with?('-')
      @port = parse_port(port)
      @address = parse_address(host)
      @host = host.delete('[]').freeze
      freeze
    end

    # @param texts [Enumerable<String, Endpoint>]
    # @return [Array<Endpoint>] the endpoints, at most as many as a token may have
    # @raise [EndpointError] one of them is none, or they are too many
    def self.all(texts)
      texts.map { |text| new(text) }.freeze.tap { |endpoints| check_count(endpoints) }
    end

    # @api private
    def self.check_count(endpoints)
      return if endpoints.size <= Limits::MAX_ENDPOINTS

      raise EndpointError, "#{endpoints.size} endpoints, at most #{Limits::MAX_ENDPOINTS} allowed"
    end

    # @return [String]
    def inspect = "#<Xlreg::Endpoint #{self}>"

    # @param other [Object]
    # @return [Boolean]
    def ==(other) = other.is_a?(Endpoint) && other.to_s == to_s
    alias eql? ==

    # @return [Integer]
    def hash = to_s.hash

    private

    def refuse(why) = raise(EndpointError, "endpoint #{Text.quote(to_s)}: #{why}")

    def parse_port(port)
      return port.to_i if PORT.match?(port) && port.to_i <= 65_535

      refuse('port: want 1 to 65535 without leading zeros')
    end

    # Returns nil for a DNS name. All digits and dots is a broken IPv4 address, never a host.
    def parse_address(host)
      return IPAddr.new(host) if IPV4.match?(host)
      return if LABELS.match?(host) && !/\A[\d.]*\z/.match?(host)

      literal = IPV6.match(host) or refuse('want an IPv4 address, [IPv6] or a DNS name before the port')
      IPAddr.new(literal[1], Socket::AF_INET6)
    rescue IPAddr::Error
      refuse('want an IPv6 address between the brackets')
    end
  end
end
