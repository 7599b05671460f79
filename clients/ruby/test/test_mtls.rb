# frozen_string_literal: true

require_relative 'clusters'

# Members speak mutual TLS to each other, both ways, and to nobody else.
class TestMTLS < Minitest::Test
  include Clusters

  REFUSALS = [OpenSSL::SSL::SSLError, SystemCallError, EOFError].freeze

  # Accepts one connection in a thread, and says hello; its value is who called.
  def serving(membership, listener, context = membership.server_context)
    Thread.new do
      Thread.current.report_on_exception = false
      plain = listener.accept
      tls = OpenSSL::SSL::SSLSocket.new(plain, context).accept
      peer = membership.peer(tls)
      tls.puts("hello #{peer.name}")
      tls.gets
      peer
    ensure
      plain&.close
    end
  end

  # Connects to a listener; yields the connection and what is said.
  def call(context, listener)
    plain = TCPSocket.new('127.0.0.1', listener.local_address.ip_port)
    tls = OpenSSL::SSL::SSLSocket.new(plain, context).connect
    said = tls.gets or raise EOFError
    yield tls, said if block_given?
    tls.puts('thanks')
    said
  ensure
    plain&.close
  end

  # Makes sure that a member accepts nobody who comes like this.
  def refused(context, membership, listener)
    serving = serving(membership, listener)
    assert_raises(*REFUSALS) { call(context, listener) }
    assert_raises(OpenSSL::SSL::SSLError) { serving.value }
  end

  # Makes a client trust whoever answers, so that only the server's refusal counts.
  def trusting(context = OpenSSL::SSL::SSLContext.new)
    context.tap { |one| one.verify_mode = OpenSSL::SSL::VERIFY_NONE }
  end

  # A client that shows a certificate for a token, with keys of its own.
  def showing(token, keys)
    named = token.with(comms_key: keys.comms_key, sig_key: keys.sig_key)
    der = Xlreg::Certificate.build(named.with(certificate: Xlreg::Certificate.make(keys.sig, named)))
    trusting.tap { |context| context.add_certificate(OpenSSL::X509::Certificate.new(der), keys.sig) }
  end

  def test_every_pair_both_ways
    leaving_nothing_open do
      with_registry do |registry|
        with_cluster(registry, 3) do |*formed|
          formed.permutation(2) { |(here, _), (there, listener)| greet(here, there, listener) }
        end
      end
    end
  end

  def greet(here, there, listener)
    serving = serving(there, listener)
    to = here.roster.by_name(there.me.name)
    said = call(here.client_context(to), listener) do |tls, _|
      assert_equal [to, 'TLSv1.3'], [here.peer(tls), tls.ssl_version]
    end
    assert_equal "hello #{here.me.name}\n", said
    assert_equal here.me, serving.value
  end

  def test_strangers_are_refused
    with_registry do |registry|
      with_cluster(registry, 3) do |(server, listener), (member, _), _|
        refused(trusting, server, listener) # who shows nothing
        refused(showing(member.me.token, Xlreg::TestHelper.keys(9)), server, listener) # the name, another key
        refused(showing(member.me.token, member.node.keys), server, listener) # the key, another certificate
        refused(trusting(server.client_context), server, listener) # oneself
        with_cluster(registry, 2, cluster: 'other') do |_, (other, _)|
          refused(trusting(other.client_context), server, listener) # the same name and key in another cluster
        end
      end
    end
  end

  # A caller reaches the member that it wants, or nobody.
  def test_callers_refuse_strangers
    with_registry do |registry|
      with_cluster(registry, 3) do |(caller, _), (wanted, _), (third, listener)|
        serving = serving(third, listener, trusting(third.server_context))
        to = caller.roster.by_name(wanted.me.name)
        assert_raises(OpenSSL::SSL::SSLError) { call(caller.client_context(to), listener) }
        assert_raises(*REFUSALS) { serving.value }
        assert_raises(Xlreg::StrangerError) { caller.client_context(caller.me) }
        assert_raises(Xlreg::StrangerError) { caller.client_context(to.with(index: 7)) }
      end
    end
  end

  def test_who_is_on_the_other_end
    with_registry do |registry|
      with_cluster(registry, 2) do |(caller, _), (server, listener)|
        with_cluster(registry, 2, cluster: 'other') do |(other, _), _|
          serving = serving(server, listener)
          call(caller.client_context, listener) do |tls, _|
            assert_equal server.me.id, caller.peer(tls).id
            assert_raises(Xlreg::StrangerError) { other.peer(tls) }
          end
          assert_equal caller.me, serving.value
        end
      end
    end
  end

  # TLS tickets would let who was once a member in again.
  def test_no_connection_is_resumed
    with_registry do |registry|
      with_cluster(registry, 2) do |(caller, _), (server, listener)|
        context = server.server_context
        resumed = Array.new(2) do
          serving = serving(server, listener, context)
          call(caller.client_context, listener) { |tls, _| @reused = tls.session_reused? }
          serving.join
          @reused
        end
        assert_equal [false, false], resumed
      end
    end
  end

  def test_who_came_over_a_classic_carrier_has_no_certificate
    with_registry do |registry|
      with_cluster(registry, 2, protocol: '1.9') do |(one, _), _|
        assert_raises(Xlreg::UnverifiedError) { one.others.first.certificate }
        assert_raises(Xlreg::UnverifiedError) { one.server_context }
        assert_raises(Xlreg::Needs20Error) { one.leave }
        assert_equal 0, one.refresh(timeout: PATIENCE).missing
      end
    end
  end

  def test_refresh_and_leave
    with_registry do |registry|
      with_cluster(registry, 3) do |(first, _), (second, _), (third, _)|
        third.leave(timeout: PATIENCE)
        assert_equal [1, 2], [first.refresh(timeout: PATIENCE).missing, first.roster.members.size]
        assert_equal 3, second.roster.members.size # it has not asked
        known = third.roster
        assert_raises(Xlreg::NotMemberError) { third.refresh(timeout: PATIENCE) }
        assert_same known, third.roster
        assert_raises(Xlreg::NotMemberError) { third.leave(timeout: PATIENCE) }
      end
    end
  end
end
