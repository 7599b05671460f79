# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'
require 'stringio'

# What a node's directory keeps of how it joined clusters by the command line.
class TestSeatFiles < Minitest::Test
  include Real

  NONE = Xlreg::SeatFile.new

  # A node that keeps nothing yet.
  def with_node
    Dir.mktmpdir do |folder|
      Xlreg::Node.init(File.join(folder, 'node'), name: 'a', keys: Xlreg::TestHelper.keys(0, 'p256')) do |node|
        @node = node
        @folder = File.join(node.directory, 'seats')
        Dir.mkdir(@folder)
        yield
      end
    end
  end

  def fingerprint(key) = "SHA256:#{[key * 32].pack('m0').delete('=')}"

  # The node's seats at the registry whose key is called so.
  def at(key) = Xlreg::SeatFiles.new(@node, fingerprint(key))

  def web(id, key = nil) = Xlreg::Cluster.new(id: Xlreg::ClusterID.new(id * 32), name: 'web', key: key && (key * 32))

  def write(registry, cluster, run) = at(registry).write(cluster, Xlreg::SeatFile.new(run: run))

  def run_by_name(registry, key = nil) = at(registry).read(Xlreg::ClusterRef.of(web('0', key)).with(id: nil)).run

  def run_by_id(registry, id) = at(registry).read(Xlreg::ClusterRef.new(id: web(id).id)).run

  def succeed(*keys)
    old, new = keys.map { |key| fingerprint(key) }
    id = Xlreg::NodeID.new('i' * 32)
    @node.update_registration(Xlreg::Registration.new(sig: old, id: id, succession: [new, Time.now]))
  end

  # They have a file each, at two registries and of several owners.
  def test_clusters_of_one_name
    with_node do
      all = [['1', 'A', nil], %w[2 A k], %w[3 A l], ['4', 'B', nil], %w[5 B k]]
      all.each { |id, registry, key| write(registry, web(id, key), id) }
      found = all.map { |id, registry, key| [run_by_name(registry, key), run_by_id(registry, id)] }
      assert_equal(all.map { |id, *| [id, id] }, found)
      assert_equal [nil] * 3, [run_by_name('C'), run_by_name('B', 'l'), run_by_id('B', '1')]
      at('A').forget(web('1'))
      assert_equal [nil, '2', '4'], [run_by_name('A'), run_by_name('A', 'k'), run_by_name('B')]
      write('A', web('6', 'k'), '6') # deleted and created anew: another ID
      assert_equal ['6', 4], [run_by_name('A', 'k'), Dir.children(@folder).size]
    end
  end

  # A registry is the same one with its next keys, in whichever order they are used.
  def test_after_next_key
    with_node do
      write('A', web('1'), '1')
      succeed('A', 'B')
      succeed('B', 'C')
      %w[A B C].each { |key| assert_equal %w[1 1], [run_by_name(key), run_by_id(key, '1')] }
      write('C', web('1'), '2')
      assert_equal ['2', nil, 1], [run_by_name('A'), run_by_name('D'), Dir.children(@folder).size]
    end
  end

  # Two registries that call each other their successors end no program.
  def test_in_a_circle
    with_node do
      succeed('A', 'B')
      succeed('B', 'A')
      write('A', web('1'), '1')
      assert_equal '1', run_by_name('A')
    end
  end

  # What programs from before have kept under a cluster's name is taken over by that cluster.
  def test_from_before
    [{ 'cluster' => web('1').id.to_s, 'run' => '07' }, { 'run' => '07' }].each do |kept|
      with_node do
        former = File.join(@folder, 'web.json')
        File.write(former, JSON.generate(kept))
        assert_equal ["\a", kept['cluster'] && "\a", nil], [run_by_name('A'), run_by_id('A', '1'), run_by_id('A', '2')]
        left_alone_by_another if kept['cluster']
        write('A', web('1'), '1')
        assert_equal [1, false], [Dir.children(@folder).size, File.exist?(former)]
        File.write(former, JSON.generate(kept))
        assert_equal '1', run_by_name('A')
        at('A').forget(web('1'))
        assert_empty Dir.children(@folder)
      end
    end
  end

  def left_alone_by_another
    write('B', web('2'), '2')
    at('B').forget(web('2'))
    assert_equal "\a", run_by_name('A')
  end

  # A damaged file is told of to those that need it, and to nobody else.
  def test_damaged
    ['', '{', '[]', '{"run": 1}', '{"run": "07", "leaseMillis": []}'].each do |text|
      with_node do
        write('A', web('1'), '1')
        damaged = Dir.children(@folder).first
        [damaged, 'web.json', 'db.json'].each { |name| File.write(File.join(@folder, name), text) }
        write('A', web('2', 'k'), '2')
        assert_equal ['2', '2', nil], [run_by_name('A', 'k'), run_by_id('A', '2'), run_by_id('A', '3')]
        assert_equal NONE, at('A').read(Xlreg::ClusterRef.new(name: 'other'))
        error = assert_raises(Xlreg::NodeError) { run_by_name('A') }
        assert_match(/#{damaged} does not say how the node joined: remove the file/, error.message)
        error = assert_raises(Xlreg::NodeError) { at('A').read(Xlreg::ClusterRef.new(name: 'db')) }
        assert_match(/db.json does not say how the node joined: remove the file/, error.message)
        at('A').forget(web('1'))
        assert_nil run_by_name('A')
      end
    end
  end

  def run_here(*words)
    out, err = Array.new(2) { StringIO.new }
    assert_equal 0, Xlreg::CLI.run([*words, '--node', 'a'], out: out, err: err, input: StringIO.new), err.string
  end

  def runs = Dir['a/seats/*'].map { |path| JSON.parse(File.read(path))['run'] }.sort

  # A join that only looks is the same start, whichever cluster of that name was joined last.
  def test_two_registries_and_an_owner
    Dir.mktmpdir do |folder|
      Dir.chdir(folder) do
        Xlreg::Node.init('a', name: 'a', keys: Xlreg::TestHelper.keys(0, 'p256')).close
        with_registry { |first| with_registry { |second| look_at_all(first, second) } }
      end
    end
  end

  def look_at_all(first, second)
    File.write('owner.ticket', Xlreg::Ticket.new_owner(first.url, 'web', size: 2).text, perm: 0o600)
    joins = [first, second].map { |one| ['join', 'web', '--registry', one.url, '--create', '--size', '2'] }
    joins << %w[join --ticket-file owner.ticket]
    joins.each { |words| run_here(*words, '--endpoint', '127.0.0.1:7001') }
    before = runs
    assert_equal 3, before.uniq.size
    id = Xlreg::Client.open(first.url) { |client| client.cluster('web').id.to_s }
    [*joins, ['join', id, '--registry', first.url]].each { |words| run_here(*words) }
    assert_equal before, runs
    run_here('leave', 'web', '--registry', second.url)
    run_here('leave', '--ticket-file', 'owner.ticket')
    assert_equal [1, []], [runs.size, runs - before]
  end
end
