# frozen_string_literal: true

module Xlreg
  # Finds out which addresses to register, and refuses those at which nobody could reach the node.
  # @api private
  module Addresses
    MULTICAST = [IPAddr.new('224.0.0.0/4'), IPAddr.new('ff00::/8')].freeze
    BROADCAST = IPAddr.new('255.255.255.255').freeze
    private_constant :MULTICAST, :BROADCAST

    module_function

    # Returns what to register: for each listener the address advertised in its place, or else its own;
    # then what else is advertised.
    # @param listeners [Array<TCPServer, Socket, OpenSSL::SSL::SSLServer>]
    # @param advertise [Array<String, Endpoint, nil>] also :PORT and INTERFACE:PORT, see OwnAddress
    # @param target [Target] the registry
    # @param limit [Limit]
    # @return [Array<Endpoint>]
    # @raise [AddressError] one of them is not one that others can be sent to
    def of(listeners, advertise, target, limit)
      Array.new([listeners.size, advertise.size].max) do |i|
        if advertise[i] && !advertise[i].to_s.empty?
          advertised(OwnAddress.new(advertise[i]).endpoint(target, limit), limit)
        elsif i < listeners.size
          Text.doing("listener #{i}") { listening(listeners[i].to_io) }
        else
          refuse("advertised endpoint #{i} is empty and there is no such listener")
        end
      end
    rescue EndpointError => e
      refuse(e.message)
    end

    # Says which addresses others may not be able to use. Loopback is fine if the registry is reached over it too,
    # since then all members may be on this machine.
    # @param endpoints [Array<Endpoint>]
    # @param target [Target]
    # @param limit [Limit]
    # @return [Array<String>]
    def doubts(endpoints, target, limit)
      endpoints.filter_map do |endpoint|
        if loopback?(endpoint)
          next unless elsewhere?(target, limit)

          "#{endpoint} is this machine's own loopback, and the registry is elsewhere: members on other machines " \
            "cannot reach it; :#{endpoint.port} in its place is the address that faces the registry"
        elsif endpoint.address&.link_local?
          "#{endpoint} is a link-local address: only machines on the same link can reach it"
        end
      end
    end

    def loopback?(endpoint) = endpoint.host == 'localhost' || endpoint.address&.loopback? || false

    def elsewhere?(target, limit)
      !IPAddr.new(OwnAddress.towards(target, limit)).loopback?
    rescue UnresolvedError
      false
    end

    def refuse(why) = raise(AddressError, "address cannot be registered: #{why}")

    def listening(socket)
      bound = socket.local_address
      refuse("#{bound.inspect_sockaddr} is no IP address and port") unless bound.ip?
      refuse("#{bound.ip_address} has no port") if bound.ip_port.zero?
      refuse("nobody listens at #{bound.inspect_sockaddr} yet: call listen") unless socket.getsockopt(:SOCKET,
                                                                                                      :ACCEPTCONN).bool
      bound = bound.ipv6_to_ipv4 || bound if bound.ipv6?
      check_reach(bound)
      host = bound.ipv6? ? "[#{bound.ip_address}]" : bound.ip_address
      Endpoint.new("#{host}:#{socket.local_address.ip_port}")
    end

    # @param address [IPAddr]
    # @return [String, nil] what it stands for, if that is no machine alone
    def nobody_at(address)
      address = address.native if address.ipv6? && address.ipv4_mapped?
      return 'stands for all addresses of a machine' if address.to_i.zero?
      return 'is the broadcast address, which stands for all machines of a network' if address == BROADCAST

      'is a multicast address, which stands for a group of machines' if MULTICAST.any? { |net| net.include?(address) }
    end

    def check_reach(bound)
      nobody = nobody_at(IPAddr.new(bound.ip_address.sub(/%.*/, '')))
      refuse("#{bound.ip_address} #{nobody}: listen on one of this machine's, or advertise one") if nobody
      return unless bound.ip_address.include?('%')

      refuse("#{bound.ip_address} is good on this machine only: listen on an address without a zone, or advertise one")
    end

    def advertised(endpoint, limit)
      found = endpoint.address ? [endpoint.host] : resolve(endpoint, limit)
      nobody = found.filter_map { |address| nobody_at(IPAddr.new(address.sub(/%.*/, ''))) }.first
      refuse("#{endpoint} #{nobody}") if nobody
      endpoint
    end

    def resolve(endpoint, limit)
      Transport.addresses(endpoint, limit).map(&:ip_address)
    rescue Transport::Broken, Transport::TimeUp => e
      raise UnresolvedError, "address cannot be registered: #{endpoint} does not resolve: #{e.message}"
    end
  end
end
