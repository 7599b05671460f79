# frozen_string_literal: true

require_relative 'real'

# Whole clusters: formed, mixed with Go members, through restarts, and talking to each other.
class TestForm < Minitest::Test
  include Real

  def form(registry, number, **more)
    listener = TCPServer.new('127.0.0.1', 0)
    options = { cluster: 'web', size: 3, listeners: [listener], timeout: PATIENCE }.merge(more)
    membership = Xlreg.form(registry.reg_cred, node: more[:node] || node(number), **options)
    [membership, listener]
  end

  # Forms a cluster of so many, and closes the listeners after the block.
  def with_cluster(registry, size, **more)
    formed = Array.new(size) { |i| Thread.new { form(registry, i, size: size, **more) } }.map(&:value)
    yield(*formed)
  ensure
    formed&.each { |_, listener| listener.close }
  end

  Xlreg::Protocol::ALL.each do |protocol|
    define_method("test_a_cluster_over_#{protocol}") do
      leaving_nothing_open do
        with_registry do |registry|
          with_cluster(registry, 3, protocol: protocol) { |*formed| check_cluster(formed, protocol) }
        end
      end
    end
  end

  def check_cluster(formed, protocol)
    formed.each do |membership, listener|
      assert_equal %w[m0 m1 m2], membership.roster.members.map(&:name).sort
      assert_equal ["127.0.0.1:#{listener.local_address.ip_port}"], membership.me.endpoints.map(&:to_s)
      assert_equal [!protocol.classic?] * 3, membership.roster.members.map(&:verified?)
      assert_equal 3, membership.refresh(timeout: PATIENCE).members.size
    end
  end

  def test_mutual_tls_in_both_directions
    leaving_nothing_open do
      with_registry do |registry|
        with_cluster(registry, 3) do |*formed|
          formed.permutation(2) { |(here, _), (there, listener)| greet(here, there, listener) }
          refuse_strangers(*formed[0], formed[1][0], formed[2][0])
        end
      end
    end
  end

  # Connects one member to another; each says who it takes the other for.
  def greet(here, there, listener)
    serving = Thread.new { serve(there, listener) }
    to = here.others.find { |member| member.name == there.me.name }
    connect(to.endpoints[0].port, here.client_context(to)) do |tls|
      assert_equal there.me.name, here.peer(tls).name
      assert_equal "welcome #{here.me.name}\n", tls.gets
    end
    assert_equal here.me.name, serving.value
  end

  # Accepts one connection, and returns who called.
  def serve(membership, listener)
    plain = listener.accept
    tls = OpenSSL::SSL::SSLSocket.new(plain, membership.server_context).accept
    name = membership.peer(tls).name
    tls.puts("welcome #{name}")
    name
  ensure
    tls ? tls.close : nil
    plain&.close
  end

  def connect(port, context)
    plain = TCPSocket.new('127.0.0.1', port)
    yield OpenSSL::SSL::SSLSocket.new(plain, context).connect
  ensure
    plain&.close
  end

  def refuse_strangers(server, listener, member, other)
    refuse_client(server, listener, nil)
    refuse_client(server, listener, stranger)
    # A member that is not the one wanted is refused too.
    serving = Thread.new { serve(server, listener) }
    serving.report_on_exception = false
    to = member.others.find { |one| one.name == other.me.name }
    assert_raises(OpenSSL::SSL::SSLError) do
      connect(listener.local_address.ip_port, member.client_context(to)) do
        flunk
      end
    end
    assert_raises(OpenSSL::SSL::SSLError) { serving.value }
    assert_raises(Xlreg::StrangerError) { member.client_context(member.me) }
  end

  # Calls as nobody, or with the certificate of one who is no member.
  def refuse_client(server, listener, pair)
    serving = Thread.new { serve(server, listener) }
    serving.report_on_exception = false
    context = OpenSSL::SSL::SSLContext.new
    context.add_certificate(*pair) if pair
    assert_raises(OpenSSL::SSL::SSLError, SystemCallError) do
      connect(listener.local_address.ip_port, context) { |tls| tls.gets or raise Errno::ECONNRESET }
    end
    assert_raises(OpenSSL::SSL::SSLError) { serving.value }
  end

  # One of the same name as a member, with another key.
  def stranger
    node = Xlreg::Node.new(name: 'm1', keys: Xlreg::TestHelper.keys(9), endpoints: ['127.0.0.1:1'])
    [OpenSSL::X509::Certificate.new(node.certificate), node.keys.sig]
  end

  def test_a_cluster_with_go_members
    with_registry do |registry|
      Dir.mktmpdir do |folder|
        go = Array.new(2) { |i| Thread.new { go_member(registry, File.join(folder, "go#{i}"), 7100 + i) } }
        membership, listener = form(registry, 0, size: 3)
        listener.close
        seen = membership.roster.members.map { |member| [member.name, member.id.to_s, member.verified?] }
        assert_equal %w[go0 go1 m0], seen.map(&:first).sort
        go.each do |thread|
          out, err, code = thread.value
          assert_equal [0, ''], [code, err.lines.grep(/xlreg:/).join]
          assert_equal(seen, JSON.parse(out)['members'].map { |one| [one['name'], one['id'], !one['unverified']] })
        end
      end
    end
  end

  def go_member(registry, folder, port)
    run_go('join', 'web', '--create', '--size', '3', '--registry', registry.url, '--node', folder,
           '--endpoint', "127.0.0.1:#{port}", '--wait', '30s', '-o', 'json')
  end

  Xlreg::Protocol::ALL.each do |protocol|
    define_method("test_the_registry_is_killed_while_clients_wait_over_#{protocol}") do
      Dir.mktmpdir do |folder|
        registry = Xlreg::RegistryProcess.new(data: File.join(folder, 'data')).start
        leaving_nothing_open { survive(registry, protocol) }
      ensure
        registry&.close
      end
    end
  end

  def survive(registry, protocol)
    joined = Queue.new
    errors = Queue.new
    tell = ->(now) { now.error ? errors.push(now.error) : joined.push(now.roster.members.size) }
    listener = TCPServer.new('127.0.0.1', 0)
    waiting = Thread.new do
      Xlreg.form(registry.reg_cred, node: node(0), cluster: 'web', size: 2, listeners: [listener],
                                    protocol: protocol, timeout: PATIENCE, &tell)
    end
    assert_equal 1, joined.pop
    registry.kill
    assert_kind_of Xlreg::SessionEndedError, errors.pop
    registry.start
    other, second = form(registry, 1, size: 2, protocol: protocol)
    assert_equal %w[m0 m1], waiting.value.roster.members.map(&:name).sort
    assert_equal waiting.value.roster.members.map(&:id), other.roster.members.map(&:id)
  ensure
    [listener, second].each { |one| one&.close }
  end

  def test_addresses_that_nobody_could_reach_are_refused_before_registering
    everywhere = TCPServer.new('0.0.0.0', 0)
    bound = Socket.new(:INET, :STREAM).tap { |socket| socket.bind(Addrinfo.tcp('127.0.0.1', 0)) }
    with_registry do |registry|
      fresh = node(0)
      attempts = [{ listeners: [everywhere] }, { listeners: [bound] }, { listeners: [Socket.new(:INET, :STREAM)] },
                  { advertise: ['0.0.0.0:7001'] }, { advertise: ['[::]:7001'] }, { advertise: ['127.0.0.1:0'] },
                  { advertise: ['does-not-exist.invalid:7001'] }, { advertise: [nil] }]
      attempts.each do |attempt|
        more = { listeners: [], node: fresh }.merge(attempt)
        assert_raises(Xlreg::AddressError, attempt.inspect) { form(registry, 0, **more) }
      end
      assert_equal [[], []], [fresh.endpoints, fresh.registrations]
      Xlreg::Client.open(registry.url) { |c| assert_raises(Xlreg::NoSuchClusterError) { c.cluster('web') } }
    end
  ensure
    [everywhere, bound].each { |one| one&.close }
  end

  def test_what_makes_no_sense
    assert_raises(ArgumentError) { Xlreg.form("xlreg://a/?sig=#{'A' * 43}", node: node(0), cluster: 'web') }
    with_registry do |registry|
      error = assert_raises(Xlreg::IncompleteError) { form(registry, 0, size: 2, timeout: 0.3) }
      assert_equal ['m0'], error.roster.members.map(&:name)
      assert_raises(Xlreg::ClusterSizeError) { form(registry, 1, size: 3) }
      assert_raises(Xlreg::TooFewEndpointsError) { form(registry, 1, endpoint_count: 2) }
    end
    gone = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: "SHA256:#{'A' * 43}")
    assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(gone, timeout: 0.2) }
  end
end
