# frozen_string_literal: true

module Xlreg
  # An address of this machine as people give it: HOST:PORT, :PORT for the address by which the registry is
  # reached, or INTERFACE:PORT.
  # @api private
  class OwnAddress
    # @param text [String, Endpoint]
    # @raise [EndpointError] it is none of these
    def initialize(text)
      @text = text.to_s
      @host, colon, @port = @text.rpartition(':')
      raise EndpointError, "#{Text.quote(@text)}: want HOST:PORT, INTERFACE:PORT or :PORT" if colon.empty?

      @sought = @host.empty? || Socket.getifaddrs.any? { |one| one.name == @host }
      @endpoint = Endpoint.new(@sought ? "localhost:#{@port}" : @text)
    end

    # @return [Endpoint, nil] what was given; nil if the address has to be found first
    def given = @sought ? nil : @endpoint

    # @param target [Target, nil] the registry
    # @param limit [Limit]
    # @return [Endpoint]
    # @raise [UnresolvedError] there is no such address, perhaps not yet
    def endpoint(target, limit)
      return given if given

      host = @host.empty? ? OwnAddress.towards(target, limit) : on_interface
      Endpoint.new("#{host.include?(':') ? "[#{host}]" : host}:#{@port}")
    end

    # Finds this machine's address on the way to the registry. Nothing is sent for that: a UDP socket has its
    # address as soon as the system knows the route.
    # @param target [Target]
    # @param limit [Limit]
    # @return [String] an IP address
    # @raise [UnresolvedError] there is no way, perhaps not yet
    def self.towards(target, limit)
      failure = nil
      target.endpoints.each do |endpoint|
        Transport.addresses(endpoint, limit).each do |address|
          return plain(Addrinfo.udp(address.ip_address, address.ip_port).connect(&:local_address))
        rescue SystemCallError => e
          failure = e
        end
      rescue Transport::Broken, Transport::TimeUp => e
        failure = e
      end
      raise UnresolvedError, "no way to the registry, so no address of this machine to take: #{failure.message}"
    end

    # @api private
    def self.plain(address)
      address = address.ipv6_to_ipv4 || address if address.ipv6?
      address.ip_address.sub(/%.*/, '')
    end

    private

    # Returns the address of the interface that others can use best: IPv4 before IPv6, and a link-local one only
    # if there is no other.
    def on_interface
      found = Socket.getifaddrs.select { |one| one.name == @host && one.addr&.ip? }.map(&:addr)
      best = found.min_by { |address| rank(IPAddr.new(OwnAddress.plain(address))) }
      raise UnresolvedError, "interface #{@host} has no address" unless best

      OwnAddress.plain(best)
    end

    def rank(address)
      return 2 if address.link_local?

      address.ipv6? ? 1 : 0
    end
  end
end
