# frozen_string_literal: true

require_relative 'clusters'
require_relative 'fake'

# Forming: whole clusters, mixed with Go members; and what is tried again with a registry that does as it is told.
class TestForm < Minitest::Test
  include Clusters

  Op = FakeRegistry::Op
  STEPS = [Op::MEMBER, Op::CREATE, Op::JOIN, Op::GET_CLUSTER].freeze

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

  def test_a_cluster_with_go_members
    with_registry do |registry|
      Dir.mktmpdir do |folder|
        go = Array.new(2) { |i| Thread.new { go_member(registry, File.join(folder, "go#{i}"), i) } }
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

  def go_member(registry, folder, number)
    run_go('join', 'web', '--create', '--size', '3', '--registry', registry.url, '--node', folder,
           '--name', "go#{number}", '--endpoint', "127.0.0.1:#{7100 + number}", '--wait', '30s', '-o', 'json')
  end

  NOWHERE = ['0.0.0.0:7001', '[::]:7001', '127.0.0.1:0', '224.0.0.1:1', '[ff02::1]:1', '255.255.255.255:1', nil].freeze

  def test_addresses_that_nobody_could_reach_are_refused_before_registering
    everywhere = TCPServer.new('0.0.0.0', 0)
    bound = Socket.new(:INET, :STREAM).tap { |socket| socket.bind(Addrinfo.tcp('127.0.0.1', 0)) }
    with_registry do |registry|
      fresh = node(0)
      attempts = [{ listeners: [everywhere] }, { listeners: [bound] }, { listeners: [Socket.new(:INET, :STREAM)] },
                  *NOWHERE.map { |address| { advertise: [address] } }]
      attempts.each do |attempt|
        assert_raises(Xlreg::AddressError, attempt.inspect) do
          Xlreg.form(registry.url, node: fresh, cluster: 'web', size: 2, timeout: PATIENCE, **attempt)
        end
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
      error = form_in_vain(registry, 0)
      assert_equal ['m0'], error.roster.members.map(&:name)
      assert_raises(Xlreg::ClusterSizeError) { form(registry, 1, size: 3) }
      assert_raises(Xlreg::TooFewEndpointsError) { form(registry, 1, endpoint_count: 2) }
    end
    gone = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: "SHA256:#{'A' * 43}")
    assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(gone, timeout: 0.2) }
  end

  # One's own name may take its time to be known.
  def test_a_name_that_is_not_there_yet_is_looked_up_again
    asked = []
    real = Addrinfo.method(:getaddrinfo)
    look = lambda do |host, *rest|
      asked << host if host == 'mine.example'
      raise SocketError, 'not known' if host == 'mine.example' && asked.size < 4

      real.call(host == 'mine.example' ? '127.0.0.1' : host, *rest)
    end
    with_registry do |registry|
      Addrinfo.stub(:getaddrinfo, look) { form_in_vain(registry, 0, advertise: ['mine.example:7001']) }
      assert_equal 4, asked.size
    end
  end

  # Without a timeout it is not looked up for ever: a registry that is away is one thing, a mistake another.
  def test_a_name_that_is_never_there
    with_registry do |registry|
      Addrinfo.stub(:getaddrinfo, ->(*) { raise SocketError, 'never' }) do
        error = assert_raises(Xlreg::IncompleteError) do
          Xlreg.form(registry.url, node: node(0), cluster: 'web', size: 2, advertise: ['mine.example:1'], timeout: 0.2)
        end
        assert_kind_of Xlreg::UnresolvedError, error.obstacle
        assert_match(/mine.example:1 does not resolve: never/, error.message)
        timing = Xlreg::Timing::DEFAULT.with(dial: 0.2)
        plan = Xlreg::Plan.new(options: Xlreg::Options.of(registry.url, node: node(0), timing: timing), size: 2,
                               ref: Xlreg::ClusterRef.of('web'), advertise: ['mine.example:1'])
        assert_raises(Xlreg::UnresolvedError) { Xlreg::Formation.new(plan, nil).run(Xlreg::Limit.new(nil)) }
      end
    end
  end

  def test_advertised_addresses
    with_registry do |registry|
      listeners = [TCPServer.new('127.0.0.1', 0), TCPServer.new('0.0.0.0', 0)]
      fresh = node(0)
      form_in_vain(registry, 0, node: fresh, listeners: listeners, advertise: [nil, 'localhost:7002', '[::1]:7003'])
      first = "127.0.0.1:#{listeners[0].local_address.ip_port}"
      assert_equal [first, 'localhost:7002', '[::1]:7003'], fresh.endpoints.map(&:to_s)
    ensure
      listeners.each(&:close)
    end
  end

  def test_a_name_is_made_up
    with_registry do |registry|
      names = [{ cluster: '' }, { cluster: 'we', attrs: Xlreg::ClusterAttrs::UNIQUE }].map do |more|
        form_in_vain(registry, 0, **more).roster.cluster.name
      end
      assert_match(/\Ac-[a-z2-7]{16} we-[a-z2-7]{16}\z/, names.join(' '))
    end
  end

  # A fake registry in which m1 is a member already, and what m0 makes of it.
  def forming(protocol = '2.0', script = {})
    FakeRegistry.run(protocol, script) do |fake|
      @me = node(0, endpoints: ['127.0.0.1:7001'])
      @told = []
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      yield fake
    end
  end

  def form_with(fake, **more)
    options = { cluster: 'web', size: 2, timeout: PATIENCE, protocol: fake.protocol }.merge(more)
    Xlreg.form(fake.cred, node: @me, **options) { |now| @told << now }
  end

  def errors_told = @told.filter_map { |now| now.error&.class }

  # Answers once as the block says, and then as a registry should.
  def once(fake, op)
    as_it_should = fake.script[op]
    answers = [true]
    fake.script[op] = ->(message) { answers.pop ? yield : as_it_should.call(message) }
  end

  Xlreg::Protocol::ALL.product(STEPS).each do |protocol, op|
    define_method("test_it_carries_on_after_a_connection_lost_at_#{Op.name(op)}_over_#{protocol}") do
      forming(protocol) do |fake|
        once(fake, op) { nil }
        membership = form_with(fake)
        assert_equal [Xlreg::SessionEndedError], errors_told
        assert_equal [FakeRegistry::NODE_ID, ['m1']], [membership.me.id, membership.others.map(&:name)]
        assert_equal [FakeRegistry::NODE_ID], @me.registrations.map(&:id)
      end
    end
  end

  STEPS.product([Xlreg::TryLaterError, Xlreg::TooManyRequestsError, Xlreg::RegistryFullError]).each do |op, kind|
    define_method("test_it_comes_back_when_told_#{kind::TEXT.tr(' ', '_')}_at_#{Op.name(op)}") do
      forming do |fake|
        once(fake, op) { FakeRegistry.error(kind.new('disk', retry_after: 0.01)) }
        assert_equal 0, form_with(fake).roster.missing
        assert_equal [kind], errors_told
      end
    end
  end

  STEPS.each do |op|
    define_method("test_it_ends_with_an_error_of_the_registry_at_#{Op.name(op)}") do
      forming('2.0', { op => ->(_) { FakeRegistry.error(Xlreg::ClusterFullError.new) } }) do |fake|
        error = assert_raises(Xlreg::ClusterFullError) { form_with(fake) }
        assert_match(/\Aform cluster "web": /, error.message)
        assert_empty errors_told
      end
    end
  end

  # A stranger took a free place over a classic carrier.
  def with_a_stranger
    with_registry do |registry|
      stranger = Thread.new { form(registry, 1, size: 2, protocol: '1.9') }
      yield registry
      stranger.value[1].close
    end
  end

  def test_a_member_that_has_proved_nothing_is_refused_by_name
    with_a_stranger do |registry|
      error = assert_raises(Xlreg::UnverifiedError) { form(registry, 0, size: 2) }
      assert_match(/form cluster "web": members that have proved nothing.*: m1 \(index \d\)\z/, error.message)
      assert_equal ['m1'], error.members.map(&:name)
    end
  end

  def test_members_that_have_proved_nothing_where_they_are_allowed
    with_a_stranger do |registry|
      membership, listener = form(registry, 0, size: 2, allow_unverified: true)
      listener.close
      assert_equal ['m1'], membership.roster.unverified.map(&:name)
      assert_equal 2, membership.refresh(timeout: PATIENCE).members.size
      strict = Xlreg::Membership.new(Xlreg::Options.of(registry.url, node: membership.node),
                                     membership.roster.with(members: [membership.me]), place_of(membership))
      assert_raises(Xlreg::UnverifiedError) { strict.refresh(timeout: PATIENCE) }
      assert_equal 1, strict.roster.members.size
    end
  end

  def place_of(membership)
    token = membership.me.token
    Xlreg::Place.new(id: token.id, key: token.sig_key, run: token.run, epoch: 1)
  end

  # The name that was made up is asked for again, and not another one.
  def test_a_name_that_was_made_up_is_kept
    asked = []
    create = lambda do |message|
      asked << [message.raw.ClusterName, message.raw.ClusterAttrs]
      FakeRegistry.cluster_reply(Op::CREATE_REPLY)
    end
    forming('2.0', { Op::CREATE => create }) do |fake|
      once(fake, Op::JOIN) { nil }
      form_with(fake, cluster: 'we', attrs: Xlreg::ClusterAttrs::UNIQUE)
      assert_equal [['we', Xlreg::ClusterAttrs::UNIQUE], ['web', 0]], asked
    end
  end

  def test_it_looks_for_itself
    forming do |fake|
      fake.join(node(2, endpoints: ['127.0.0.1:7003']), Xlreg::NodeID.new('3' * 32))
      fake.script[Op::GET_CLUSTER] = lambda do |_|
        fake.tokens.delete(FakeRegistry::NODE_ID)
        fake.roster
      end
      assert_raises(Xlreg::NotMemberError) { form_with(fake) }
    end
  end

  def test_it_looks_for_its_own_key
    forming do |fake|
      fake.script[Op::GET_CLUSTER] = lambda do |_|
        other = Xlreg::Node.new(name: 'm0', keys: Xlreg::TestHelper.keys(9), endpoints: ['127.0.0.1:1'])
        fake.join(other, FakeRegistry::NODE_ID)
        fake.roster
      end
      error = assert_raises(Xlreg::BadSignatureError) { form_with(fake) }
      assert_match(/another key as that of this node/, error.message)
    end
  end

  def test_a_registration_by_url_asks_for_the_name
    forming do |fake|
      ids = Array.new(2) { Xlreg::Client.open(fake.cred.url, node: @me, &:register) }
      assert_equal [FakeRegistry::NODE_ID] * 2, ids
      assert_equal [['fake', fake.cred.endpoints]], (@me.registrations.map { |one| [one.name, one.endpoints] })
      assert_equal 1, fake.said.count(Op::REG_CRED_REQUEST)
    end
  end

  def test_short_keys_are_refused_before_anything_is_said
    short = Vectors.key('small-sig')
    node = Xlreg::Node.new(name: 'm0', keys: Xlreg::Keys.new(comms: short, sig: short))
    FakeRegistry.run('2.0') do |fake|
      error = assert_raises(Xlreg::PrivateKeyError) { Xlreg::Client.open(fake.cred, node: node) }
      assert_match(/1024 bits with exponent 65537: protocol 2.0 needs 2048 to 4096/, error.message)
      assert_empty fake.said
    end
    FakeRegistry.run('1.9') do |fake|
      id = Xlreg::Client.open(fake.cred, node: node, protocol: '1.9', &:register)
      assert_equal FakeRegistry::NODE_ID, id
    end
  end
end
