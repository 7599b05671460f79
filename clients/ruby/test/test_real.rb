# frozen_string_literal: true

require_relative 'real'

# Creators, members and readers against the real server.
class TestReal < Minitest::Test
  include Real

  %w[2.0 1.9 1.8].each do |generation|
    define_method("test_creator_member_and_reader_over_#{generation}") do
      leaving_nothing_open { with_registry { |registry| converse(registry, generation) } }
    end
  end

  def converse(registry, generation)
    with_client(registry, 0, generation) do |creator|
      id = creator.register
      made = creator.create('web', size: 2)
      assert_equal ['web', 2, 1], [made.name, made.size, made.endpoint_count]
      assert_equal made, creator.join
      with_client(registry, 1, generation) { |member| member.register && member.join('web') }
      roster = creator.wait(timeout: PATIENCE)
      assert_equal %w[m0 m1], roster.members.map(&:name)
      assert_equal [id, roster], [roster.members[0].id, creator.members]
      assert_equal [generation == '2.0'] * 2, roster.members.map(&:verified?)
      assert_equal registry.cred.fingerprint, creator.registry.fingerprint
      assert_raises(Xlreg::Needs20Error) { creator.leave } unless generation == '2.0'
    end
  end

  def with_client(registry, number, generation, &)
    node = node(number, endpoints: ["127.0.0.1:#{7001 + number}"])
    Xlreg::Client.open(registry.reg_cred, node: node, protocol: generation, timeout: PATIENCE, &)
  end

  def test_a_reader_needs_no_node
    with_registry do |registry|
      with_client(registry, 0, '1.9') { |client| client.register && client.create('old', size: 2) && client.join }
      Xlreg::Client.open(registry.url) do |reader|
        assert_equal [false], reader.members('old').members.map(&:verified?)
        assert_raises(Xlreg::IdentityRequiredError) { reader.join('old') }
        assert_raises(Xlreg::NeedsNodeError) { reader.register }
        assert_raises(Xlreg::NoSuchClusterNameError) { reader.cluster('none') }
        assert_equal 2, reader.cluster('old').size # an Error of this kind leaves the session open
      end
      assert_raises(Xlreg::NeedsNodeError) { Xlreg::Client.open(registry.reg_cred, protocol: '1.8') }
    end
  end

  def test_log_in
    node = node(0, endpoints: ['127.0.0.1:7001'])
    with_registry do |registry|
      Xlreg::Protocol::ALL.each do |protocol|
        fresh = node(0)
        open = ->(one) { Xlreg::Client.open(registry.reg_cred, node: one, protocol: protocol) }
        id = open.call(node).then { |client| client.register.tap { client.close } }
        assert_equal(id, open.call(node).then { |client| client.login.tap { client.close } })
        client = open.call(fresh)
        assert_raises(Xlreg::NotRegisteredError) { client.login }
        client.close
      end
    end
  end

  def test_unique_names_and_sizes
    with_registry do |registry|
      with_client(registry, 0, '2.0') do |client|
        client.register
        unique = Xlreg::ClusterAttrs::UNIQUE
        assert_match(/\Aweb-[a-z2-7]{16}\z/, client.create('web', size: 2, attrs: unique).name)
        assert_match(/\Ac-[a-z2-7]{16}\z/, client.create(size: 2).name)
        client.create('web', size: 3)
        error = assert_raises(Xlreg::ClusterSizeError) { client.create('web', size: 2) }
        assert_equal 3, error.cluster.size
        assert_raises(ArgumentError) { client.create('web', size: 65) }
        client.join('web')
        client.leave
        assert_raises(Xlreg::NotMemberError) { client.leave('web') }
      end
    end
  end

  def test_wait_says_who_is_missing
    with_registry do |registry|
      with_client(registry, 0, '2.0') do |client|
        client.register
        client.create('web', size: 3)
        client.join
        error = assert_raises(Xlreg::IncompleteError) { client.wait(timeout: 0.3) }
        assert_equal [3, 2, ['m0']], [error.size, error.missing, error.roster.members.map(&:name)]
        assert_match(/1 of 3 members joined, 2 missing: time is up; joined: m0 at 127.0.0.1:7001 since/, error.message)
        assert_equal 'web', client.cluster.name # the session goes on
      end
    end
  end

  def test_close_ends_a_wait_in_another_thread
    with_registry do |registry|
      with_client(registry, 0, '2.0') do |client|
        client.register
        client.create('web', size: 3)
        waiting = Thread.new { client.wait }
        waiting.report_on_exception = false
        Thread.pass until waiting.status == 'sleep'
        client.close
        assert_raises(Xlreg::SessionEndedError) { waiting.value }
        assert_raises(Xlreg::SessionEndedError) { client.members }
      end
    end
  end

  def test_another_registry_is_not_trusted
    with_registry do |registry|
      url = registry.url.sub(/sig=.*/, "sig=#{'A' * 43}")
      assert_raises(Xlreg::UntrustedError) { Xlreg::Client.open(url, timeout: PATIENCE) }
      other = Xlreg::Target.new(endpoints: registry.cred.endpoints, fingerprint: registry.cred.fingerprint)
      assert_raises(ArgumentError) { Xlreg::Client.open(other, protocol: '1.9', node: node(0)) }
    end
  end
end
