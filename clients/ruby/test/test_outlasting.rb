# frozen_string_literal: true

require 'timeout'
require_relative 'hand'
require_relative 'real'

# Somebody else answers at the address of a registry: another registry, or a server of something else.
class TestOutlasting < Minitest::Test
  include Real

  # So that nobody has to wait for half a minute.
  QUICK = Xlreg::Timing::DEFAULT.with(stranger: 0.05)

  def peer(number)
    node(number, keys: Xlreg::TestHelper.keys(number, 'p256'), endpoints: ["127.0.0.1:#{7001 + number}"])
  end

  # What comes next in a queue, or an error if nothing does.
  def soon(queue) = Timeout.timeout(2 * PATIENCE) { queue.pop }

  def plan(registry, number, told, lease: nil)
    options = Xlreg::Options.of(registry.url, node: peer(number), timing: QUICK)
    Xlreg::Plan.new(options: options, ref: Xlreg::ClusterRef.of('web'), size: 2, lease: lease,
                    stranger: told.method(:push))
  end

  # Forms a cluster of two, and returns its members and what each of them is told of strangers.
  def form(registry, **more)
    told = Array.new(2) { Queue.new }
    forming = told.each_with_index.map do |queue, i|
      Thread.new { Xlreg::Formation.new(plan(registry, i, queue, **more), nil).run(Xlreg::Limit.new(PATIENCE)) }
    end
    [forming.map(&:value), told]
  end

  # Runs the block with a registry that can be started again.
  def with_lasting_registry
    Dir.mktmpdir do |folder|
      with_registry(data: File.join(folder, 'data'), listen: own_address) do |registry|
        leaving_nothing_open { yield registry }
      end
    end
  end

  # Runs the block while another registry has the address.
  def another_registry(endpoint)
    Dir.mktmpdir do |folder|
      with_registry(data: File.join(folder, 'other'), listen: endpoint.to_s) { yield -> {} }
    end
  end

  # Runs the block while a server in plain text has the address. What it yields waits until the server is called again.
  def plain_text(endpoint)
    called = Queue.new
    server = TCPServer.new(endpoint.host, endpoint.port)
    serving = Thread.new { loop { answer(server.accept, called) } }
    yield -> { soon(called) }
  ensure
    serving&.kill&.join
    server&.close
  end

  def answer(connection, called)
    connection.readpartial(1024)
    connection.write("HTTP/1.1 200 OK\r\n\r\n")
    called.push(true)
  rescue SystemCallError, EOFError
    nil # it has seen enough
  ensure
    connection.close
  end

  STRANGERS = { another_registry: Xlreg::UntrustedError, plain_text: Xlreg::NotARegistryError }.freeze

  # A member that watches, with a lease or without, tells of them once, and goes on when the registry is back.
  STRANGERS.each do |stranger, kind|
    [nil, 20].each do |lease|
      define_method("test_a_member_outlasts_#{stranger}_#{lease ? 'with' : 'without'}_a_lease") do
        with_lasting_registry do |registry|
          members, told = form(registry, lease: lease)
          changes = Queue.new
          watching = Thread.new { members[0].watch { |change| changes << change.went.map(&:name) } }
          watching.report_on_exception = false
          outlast(registry, stranger, told[0], kind)
          members[1].leave(timeout: PATIENCE)
          assert_equal ['m1'], soon(changes)
          assert_nil members[0].fate
          members[0].close
          assert_raises(Xlreg::ClosedError) { watching.value }
        end
      end
    end
  end

  # Has somebody else in the registry's place for a while.
  def outlast(registry, stranger, told, kind)
    endpoint = Xlreg::Target.load(registry.url).endpoints.first
    registry.stop
    send(stranger, endpoint) do |call|
      assert_kind_of kind, soon(told)
      9.times { call.call }
      assert_empty told
    end
    registry.start
    assert_nil soon(told)
  end

  # Whoever answers in the registry's place sees the node's certificate once at most: with OpenSSL, a client shows it
  # before it judges the other end.
  def test_they_do_not_learn_who_asks
    with_lasting_registry do |registry|
      (member, other), = form(registry, lease: 20)
      other.close
      endpoint = Xlreg::Target.load(registry.url).endpoints.first
      registry.stop
      shown = Queue.new
      tls_server(endpoint, shown) { assert_equal [nil] * 3, Array.new(4) { soon(shown) }.drop(1) }
      member.close
    end
  end

  # Runs the block while a server has the address that has another key, and wants to know who its clients are.
  def tls_server(endpoint, shown)
    plain = TCPServer.new(endpoint.host, endpoint.port)
    server = OpenSSL::SSL::SSLServer.new(plain, curious)
    serving = Thread.new do
      loop do
        tls = server.accept
        shown.push(tls.peer_cert)
        tls.close
      rescue OpenSSL::SSL::SSLError, SystemCallError
        nil # it has seen enough
      end
    end
    yield
  ensure
    serving&.kill&.join
    plain&.close
  end

  def curious
    stranger = Xlreg::Node.new(name: 's', keys: Xlreg::TestHelper.keys(9, 'p256'), endpoints: ['127.0.0.1:1'])
    OpenSSL::SSL::SSLContext.new.tap do |context|
      context.add_certificate(OpenSSL::X509::Certificate.new(stranger.certificate), stranger.keys.sig)
      context.alpn_select_cb = ->(protocols) { protocols.first }
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER
      context.verify_callback = ->(_, _) { true }
    end
  end

  # Who resumes was with the registry in an earlier start.
  STRANGERS.each do |stranger, kind|
    define_method("test_who_resumes_outlasts_#{stranger}") do
      with_lasting_registry do |registry|
        (first, other), = form(registry)
        saved = Xlreg::SavedRoster.load(first.save, registry.url, first.node)
        registry.stop
        told = Queue.new
        again = nil
        send(stranger, Xlreg::Target.load(registry.url).endpoints.first) do
          again = Xlreg.resume(saved, node: first.node, lease: 20, stranger: told.method(:push))
          assert_kind_of kind, soon(told)
        end
        registry.start
        assert_nil soon(told)
        other.leave(timeout: PATIENCE)
        again.watch(timeout: PATIENCE) { |change| break unless change.went.empty? }
        assert_equal [['m0'], 20.0, nil], [again.roster.members.map(&:name), again.lease, again.fate]
        again.close
      end
    end
  end

  # Whoever comes to a stranger first is told at once, and so is a member that waits for others.
  def test_at_first
    with_lasting_registry do |registry|
      joined = Queue.new
      forming = Thread.new do
        Xlreg::Formation.new(plan(registry, 0, Queue.new), joined.method(:push)).run(Xlreg::Limit.new(PATIENCE))
      end
      forming.report_on_exception = false
      soon(joined)
      endpoint = Xlreg::Target.load(registry.url).endpoints.first
      registry.stop
      another_registry(endpoint) do
        assert_raises(Xlreg::UntrustedError) { forming.value }
        assert_raises(Xlreg::UntrustedError) { Xlreg.watch(registry.url, 'web') { flunk } }
      end
    end
  end

  # The longest pause leaves time for a whole term of the lease, which a registry gives that is started again.
  def test_pauses
    { nil => 30.0, 3600 => 30.0, 30 => 10.0, 2 => 1.0 }.each do |lease, longest|
      clock = Hand.new
      strangers = Xlreg::Strangers.new(30.0)
      strangers.lease = lease
      strangers.meet?(Xlreg::UntrustedError.new)
      pauses = Array.new(12) do
        before = clock.now
        strangers.pause(clock.limit(nil))
        clock.now - before
      end
      assert_includes 0.5..1.0, pauses.first
      assert_includes longest / 2..longest, pauses.last
    end
  end

  def unreachable(*failures) = Xlreg::UnreachableError.new(failures)

  def test_who_is_one
    broken = Xlreg::HandshakeError.new
    clock = Xlreg::ClockError.new
    [Xlreg::UntrustedError.new, one = Xlreg::NotARegistryError.new, unreachable(broken, one)].each do |error|
      assert Xlreg::Strangers.new(30.0).meet?(error), error.inspect
    end
    [broken, clock, Xlreg::SessionEndedError.new, Xlreg::NotMemberError.new, unreachable(clock)].each do |error|
      refute Xlreg::Strangers.new(30.0).meet?(error), error.inspect
    end
  end
end
