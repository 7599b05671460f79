# frozen_string_literal: true

require_relative 'clusters'
require_relative 'fake'
require 'xlreg/cli'
require 'stringio'

# What members and third parties verify without trusting a registry: signed rosters and sums.
class TestSums < Minitest::Test
  include Real
  include Clusters

  def test_a_signed_roster
    with_registry do |registry|
      with_cluster(registry, 2) do |(member, _), _|
        signed = Xlreg::Client.open(registry.url) { |client| client.signed(member.cluster.id) }
        again = Xlreg::SignedRoster.load(signed.document, registry.url)
        assert_equal [member.roster.sum] * 2, [signed.roster.sum, again.roster.sum]
        assert_in_delta Time.now, again.signed, 60
        refute again.contradicts?(signed)
        check_refused(signed.document, registry.url)
      end
    end
  end

  def check_refused(document, url)
    [document[0...-1], '', "#{document}x", document.sub('127.0.0.1', '127.0.0.2')].each do |damaged|
      assert_raises(Xlreg::Error) { Xlreg::SignedRoster.load(damaged, url) }
    end
    assert_raises(Xlreg::UntrustedError) { Xlreg::SignedRoster.load(document, url.sub(/sig=.{8}/, 'sig=AAAAAAAA')) }
  end

  # A registry that signs two rosters of one revision is convicted by them.
  def test_a_contradiction
    source = Vectors.load('signed').find { |one| one['vector'] == 'signed/open' }['input']
    print = source['fingerprint'] || Xlreg::PublicKey.fingerprint(*Vectors.unhex(source, 'sig_key'))
    target = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: print)
    signed = Xlreg::SignedRoster.verify(source['documents'].map { |one| [one].pack('H*') }, target)
    other = signed.with(roster: signed.roster.with(sum: 'x' * 32))
    assert signed.contradicts?(other)
    refute signed.contradicts?(signed)
  end

  # Serves what others ask of a member.
  def serving(member, listener)
    Thread.new do
      server = OpenSSL::SSL::SSLServer.new(listener, member.server_context)
      loop do
        tls = server.accept
        tls.alpn_protocol == Xlreg::SUM_ALPN ? member.serve_sums(tls) : tls.close
      end
    rescue IOError
      nil # it listens no more
    end
  end

  def test_members_compare
    with_registry do |registry|
      with_cluster(registry, 3) do |(first, _), *others|
        threads = others.map { |member, listener| serving(member, listener) }
        compared = first.compare(timeout: PATIENCE)
        assert_equal [first.others, {}], [compared.same, compared.unknown]
        lie(others[0][0])
        error = assert_raises(Xlreg::OtherRosterError) { first.compare(timeout: PATIENCE) }
        assert_equal [others[0][0].me.name], error.members.map(&:name)
        threads[1].kill.join
        others[1][1].close
        assert_raises(Xlreg::OtherRosterError) { first.compare(timeout: PATIENCE) }
      end
    end
  end

  # Has a member see another cluster at the same revision.
  def lie(member) = member.instance_variable_get(:@sums).add(member.roster.with(sum: 'x' * 32))

  def test_where_the_registry_sees_a_member
    with_registry do |registry|
      member = node(0)
      threads = [[member, 'observed:7001'], [node(1), '127.0.0.1:7002']].map do |one, at|
        Thread.new do
          Xlreg.form(registry.url, node: one, cluster: 'web', size: 2, advertise: [at], timeout: PATIENCE)
        end
      end
      threads.each(&:value)
      assert_equal ['127.0.0.1:7001'], member.endpoints.map(&:to_s)
    end
  end

  # A registry proves itself by its next key, for which the known one vouches; the node keeps both.
  def test_a_next_key
    FakeRegistry.run('2.0', {}, handshake: Handshakes.succession) do |fake|
      member = node(0, endpoints: ['127.0.0.1:7001'])
      following = Xlreg::PublicKey.fingerprint(Xlreg::PublicKey.der(FakeRegistry::OTHER))
      Xlreg::Client.open(fake.cred, node: member) do |client|
        assert_equal following, client.next_fingerprint
        assert_operator client.next_until, :>, Time.now
        client.register
      end
      kept = member.registration(fake.cred.fingerprint)
      assert_equal [following, 180], [kept.next, ((kept.next_until - Time.now) / 86_400).round]
      again = Xlreg::RecordParser.parse(member.send(:record).encode).registrations
      assert_equal [kept], again
    end
  end

  # The command line says so, with or without a node.
  def test_the_command_line_tells_of_a_next_key
    FakeRegistry.run('2.0', {}, handshake: Handshakes.succession) do |fake|
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      following = Xlreg::PublicKey.fingerprint(Xlreg::PublicKey.der(FakeRegistry::OTHER))
      Dir.mktmpdir do |folder|
        Xlreg::Node.init(folder, keys: Xlreg::TestHelper.keys(0)).close
        [%w[get web], ['join', 'web', '--endpoint', '127.0.0.1:7001', '--node', folder]].each do |words|
          out, err = Array.new(2) { StringIO.new }
          assert_equal 0, Xlreg::CLI.run([*words, '--registry', fake.cred.url], out: out, err: err), err.string
          assert_match(/\Axlreg: warning: the registry has a new key, #{Regexp.escape(following)}, for which the one/,
                       err.string)
        end
      end
    end
  end

  # Once the next key is known and the old one's word for it is over, the old key alone is no proof.
  def test_the_old_key_is_accepted_no_longer_than_it_vouches
    following = Xlreg::PublicKey.fingerprint(Xlreg::PublicKey.der(FakeRegistry::OTHER))
    FakeRegistry.run('2.0') do |fake|
      [[60, nil], [-60, Xlreg::UntrustedError]].each do |seconds, kind|
        member = node(0)
        member.update_registration(Xlreg::Registration.new(sig: fake.cred.fingerprint, id: FakeRegistry::NODE_ID,
                                                           succession: [following, Time.now + seconds]))
        open = -> { Xlreg::Client.open(fake.cred, node: member, timeout: 5, &:fingerprint) }
        kind ? assert_raises(kind, &open) : open.call
      end
    end
  end
end
