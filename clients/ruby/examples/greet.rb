# frozen_string_literal: true

# A member that greets every other member over mutual TLS, and is greeted by each.
#
#     ruby greet.rb REGISTRY NODE_DIR CLUSTER SIZE
#
# prints "to NAME" for each member greeted and "from NAME" for each that greeted this
# one. Members that came over a classic carrier have no certificate, and are left out.
# It ends when it has greeted, and was greeted by, all the others.

require 'socket'
require 'xlreg'

# Says hello to one member, and makes sure that it is this one who answers.
def greet(membership, member)
  endpoint = member.endpoints.first
  TCPSocket.open(endpoint.host, endpoint.port) do |plain|
    tls = OpenSSL::SSL::SSLSocket.new(plain, membership.client_context(member)).connect
    tls.puts "hello from #{membership.me.name}"
    abort "no greeting from #{member.name}" unless tls.gets == "hello #{membership.me.name}\n"
    tls.close
  end
  puts "to #{member.name}"
end

# Answers so many greetings, each from who it says it is from.
def be_greeted(membership, listener, times)
  server = OpenSSL::SSL::SSLServer.new(listener, membership.server_context)
  times.times do
    tls = server.accept
    guest = membership.peer(tls)
    abort "#{guest.name} says it is someone else" unless tls.gets == "hello from #{guest.name}\n"
    tls.puts "hello #{guest.name}"
    tls.close
    puts "from #{guest.name}"
  end
end

registry, directory, cluster, size = ARGV
$stdout.sync = true
listener = TCPServer.new('127.0.0.1', 0)
Xlreg::Node.open(directory) do |node|
  membership = Xlreg.form(registry, node: node, cluster: cluster, size: Integer(size), listeners: [listener],
                                    allow_unverified: true, timeout: 60)
  others = membership.others.select(&:verified?)
  host = Thread.new { be_greeted(membership, listener, others.size) }
  others.each { |member| greet(membership, member) }
  host.join
end
