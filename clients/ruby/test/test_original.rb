# frozen_string_literal: true

require_relative 'original'
require_relative 'originald'

# The servers of 2014-2018, in both generations.
class TestOriginal < Minitest::Test
  include Real

  GENERATIONS = %w[1.8 1.9].freeze

  # @return [Hash{String => Proc}] how to run each of the servers that there are
  def self.servers
    ours = { 'fake' => ->(generation, lose, &test) { OriginalRegistry.run(generation, lose_races: lose, &test) } }
    return ours unless Originald.there?

    ours.merge('originald' => ->(generation, lose, &test) { Originald.run(generation, lose_races: lose, &test) })
  end

  # Forms a cluster of as many members as there are options, all at once.
  def form_all(cred, generation, options)
    threads = options.each_with_index.map do |more, i|
      node = more.delete(:node) || node_of(i)
      Thread.new do
        Xlreg.form(cred, **{ node: node, cluster: 'c', protocol: generation, timeout: 4 * PATIENCE }.merge(more))
      end
    end
    threads.map(&:value)
  end

  # Members of one key, since keys take time; their names tell them apart. Of their tokens 24 take more than a
  # message may have.
  def node_of(number)
    ends = ["127.0.0.1:#{7001 + number}", *(1..5).map { |i| "[2001:db8:1111:2222:3333:4444:5555:#{i}666]:1" }]
    Xlreg::Node.new(name: "m#{number}", keys: Xlreg::TestHelper.keys(0), endpoints: ends)
  end

  def session(cred, generation, name, &)
    node = Xlreg::Node.new(name: name, keys: Xlreg::TestHelper.keys(0), endpoints: ['127.0.0.1:7001'])
    Xlreg::Client.open(cred, node: node, protocol: generation, timeout: PATIENCE) do |client|
      client.register
      yield client
    end
  end

  # 24 tokens are past what fits into one message.
  servers.each do |server, run|
    GENERATIONS.product([2, 3, 16, 24], [false, true]).each do |generation, size, lose|
      define_method("test_#{size}_members_at_#{server}_over_#{generation}#{'_that_loses_races' if lose}") do
        run.call(generation, lose) do |there|
          cred = there.cred
          formed = form_all(cred, generation, Array.new(size) { { size: size } })
          formed.each do |one|
            assert_equal ['c', size, size], [one.cluster.name, one.cluster.size, one.roster.members.size]
            assert_includes one.roster.members, one.me
          end
        end
      end
    end

    GENERATIONS.each do |generation|
      define_method("test_a_cluster_that_is_there_is_found_by_joining_it_at_#{server}_over_#{generation}") do
        run.call(generation, false) { |there| check_joining(there.cred, generation) }
      end

      define_method("test_what_one_session_can_ask_at_#{server}_over_#{generation}") do
        run.call(generation, false) { |there| check_session(there.cred, generation) }
      end

      define_method("test_two_clusters_without_a_name_are_two_at_#{server}_over_#{generation}") do
        run.call(generation, false) do |there|
          names = Array.new(2) { |i| session(there.cred, generation, "m#{i}") { |client| client.create(size: 2).name } }
          assert_match(/\Ac-[a-z2-7]{16} c-[a-z2-7]{16}\z/, names.join(' '))
          refute_equal(*names)
        end
      end
    end
  end

  def check_joining(cred, generation)
    cluster = session(cred, generation, 'admin') { |client| client.create('c', size: 3) }
    options = [{ size: 0 }, { size: 3 }, { cluster: cluster.id }].map { |more| { join_only: true, **more } }
    sizes = form_all(cred, generation, options).map { |one| one.refresh(timeout: PATIENCE).members.size }
    assert_equal [3] * 3, sizes
    late = { node: node_of(3), protocol: generation, join_only: true, timeout: PATIENCE }
    assert_raises(Xlreg::ClusterSizeError) { Xlreg.form(cred, cluster: 'c', size: 4, **late) }
    assert_raises(Xlreg::NoSuchClusterNameError) { Xlreg.form(cred, cluster: 'other', **late) }
  end

  # Members are asked for by the ID that Join told, however the cluster is named.
  def check_session(cred, generation)
    session(cred, generation, 'm0') do |client|
      cluster = client.create('c', size: 2)
      client.join
      [cluster.id, 'c', nil, cluster].each do |ref|
        assert_equal [['m0'], cluster], [client.members(ref).members.map(&:name), client.members(ref).cluster]
        assert_equal cluster, client.cluster(ref)
      end
    end
    session(cred, generation, 'm1') { |client| assert_raises(Xlreg::WrongStateError) { client.members('c') } }
    session(cred, generation, 'm1') { |client| assert_raises(Xlreg::WrongStateError) { client.registry } }
  end

  # A text that is not in the list is tried again until time is up, which then shows it.
  def test_an_error_in_words_of_its_own
    OriginalRegistry.run('1.8') do |fake|
      told = []
      stop = ->(now) { told << now.error and (told.size == 3 and raise StopIteration) }
      assert_raises(StopIteration) do
        Xlreg.form(fake.cred, node: node_of(0), cluster: Xlreg::ClusterID.new('x' * 20), protocol: '1.8', &stop)
      end
      assert_equal [Xlreg::TryLaterError] * 3, told.map(&:class)
      assert_match(/can't find cluster with ID/, told.last.message)
    end
  end

  def test_a_node_that_comes_again_is_the_same_member
    OriginalRegistry.run('1.9') do |fake|
      nodes = Array.new(2) { |i| node_of(i) }
      ids = Array.new(2) do
        options = nodes.map { |node| { node: node, size: 2 } }
        form_all(fake.cred, '1.9', options).map { |one| one.me.id }
      end
      assert_equal(*ids)
    end
  end

  # Over a classic carrier it is always said, since original servers take none for nobody; over 2.0 none is for all.
  def test_a_request_for_members_says_for_whom
    modern, classic = %w[2.0 1.9].map do |protocol|
      [].tap do |seen|
        FakeRegistry.run(protocol) do |fake|
          fake.script[FakeRegistry::Op::GET_CLUSTER] = ->(message) { (seen << message.raw) && fake.roster }
          Xlreg::Client.open(fake.cred, node: node(0), protocol: protocol) do |client|
            client.members('web') && client.cluster('web')
          end
        end
      end
    end
    assert_equal([1], modern.each_index.select { |i| modern[i].has_WhichSet? })
    assert_equal ['', ''], modern.map(&:WhichSet)
    assert modern.none?(&:has_Which?)
    assert classic.all?(&:has_Which?)
    assert_equal [(1 << 12) - 1, 0], classic.values_at(0, -1).map(&:Which)
  end
end
