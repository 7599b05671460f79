# frozen_string_literal: true

require_relative 'real'

# The words of this library: the tree of errors, what values hold and show, and what documentation promises.
class TestVocabulary < Minitest::Test
  include Real

  SOURCES = Dir[File.expand_path('../lib/xlreg/**/*.rb', __dir__)].freeze
  TREE = File.read(File.expand_path('../lib/xlreg/errors.rb', __dir__))[/^  #     Error\n.*?^  class/m]
  JOINED = Time.utc(2026, 1, 2, 3, 4, 5)

  def kinds(kind = Xlreg::Error, depth = 0)
    [[kind.name.delete_prefix('Xlreg::'), depth], *kind.subclasses.flat_map { |sub| kinds(sub, depth + 1) }]
  end

  def test_the_tree_that_is_drawn_is_the_tree
    drawn = TREE.scan(/^  # {5}([ │├└─]*)(\w*Error)\b/).map { |branch, name| [name, branch.size / 4] }
    assert_equal kinds.sort, drawn.sort
  end

  def test_the_codes_that_are_drawn_are_the_codes
    drawn = TREE.scan(/(\w+Error) +(\d+)\b/).to_h.transform_values(&:to_i)
    assert_equal(Xlreg::KINDS.to_h { |code, kind| [kind.name.delete_prefix('Xlreg::'), code] }, drawn)
  end

  def test_kinds
    assert_equal (1..24).to_a, Xlreg::KINDS.keys
    assert_equal 24, Xlreg::KINDS.values.map { |kind| kind::TEXT }.uniq.size
    error = Xlreg::ClusterFullError.new('3 of 3', retry_after: 2.5)
    assert_equal ['cluster is full: 3 of 3', 13, '3 of 3', 2.5],
                 [error.message, error.code, error.detail, error.retry_after]
    assert_equal 'cluster is full', Xlreg::ClusterFullError.new.message
  end

  # A text alone tells the kind, as original servers send it.
  def test_the_kind_of_a_text
    Xlreg::KINDS.each_value do |kind|
      assert_equal [kind, ''], Xlreg::Wire::Reading.kind_of(kind::TEXT)
      assert_equal [kind, 'why: so'], Xlreg::Wire::Reading.kind_of("#{kind::TEXT}: why: so")
    end
    assert_equal [Xlreg::ProtocolError, 'cluster is fuller'], Xlreg::Wire::Reading.kind_of('cluster is fuller')
  end

  def token(name, **more)
    keys = Xlreg::TestHelper.keys(0)
    Xlreg::Token.new(name: name, comms_key: keys.comms_key, sig_key: keys.sig_key, joined: JOINED,
                     id: Xlreg::NodeID.new(name * 10), endpoints: Xlreg::Endpoint.all(['192.0.2.1:1']), **more)
  end

  def roster(*indexes, size: 3)
    cluster = Xlreg::Cluster.new(id: Xlreg::ClusterID.new('c' * 20), name: 'web', attrs: 0, size: size,
                                 endpoint_count: 1)
    members = indexes.map { |i| Xlreg::Member.new(index: i, token: token("m#{i}"), verified: i.zero?) }
    Xlreg::Roster.new(cluster: cluster, members: members)
  end

  def test_a_roster
    roster = roster(0, 2)
    assert_equal %w[m0 m2], roster.members.map(&:name)
    first, last = roster.members
    assert_equal [last, last, last], [roster.by_name('m2'), roster.by_id(last.id), roster.by_index(2)]
    assert_nil roster.by_index(1)
    assert_equal [1, [last]], [roster.missing, roster.unverified]
    assert_equal 'm0 at 192.0.2.1:1 since 2026-01-02T03:04:05Z', first.describe
    assert_equal 'm9', Xlreg::Member.new(index: 9, token: token('m9', endpoints: [], joined: nil)).describe
    assert_raises(Xlreg::UnverifiedError) { last.certificate }
  end

  def test_the_text_of_who_is_missing
    error = Xlreg::IncompleteError.new(roster(0, 2), 3, obstacle: Xlreg::TryLaterError.new('no room'))
    assert_equal 1, error.missing
    assert_match(/2 of 3 members joined, 1 missing: time is up: try again later: no room; .*joined: /, error.message)
    assert_match(/m0 at 192.0.2.1:1 since 2026-01-02T03:04:05Z, m2 at 192.0.2.1:1/, error.message)
    assert_equal 3, Xlreg::IncompleteError.new(nil, 3).missing
    assert_match(/3 members wanted, none heard of: time is up/, Xlreg::IncompleteError.new(nil, 3).message)
    assert_equal 'members not heard of: time is up; registry never heard', Xlreg::IncompleteError.new(nil, 0).message
  end

  def test_who_is_missing_and_where_one_stands
    error = Xlreg::IncompleteError.new(roster(0, 2, size: 8), 8, standing: :joined, index: 2, silence: 130.0)
    assert_match(/; this node has joined, with index 2; registry last heard 2 minutes ago; /, error.message)
    assert_match(/; nobody at index 1, 3 to 7; joined: m0/, error.message)
    assert_equal 1, error.message.scan('missing').size
    assert_predicate error, :joined?
    assert_match(/this node asked to join/, Xlreg::IncompleteError.new(nil, 2, standing: :asked).message)
    assert_match(/this node has not joined/, Xlreg::IncompleteError.new(nil, 2, standing: :apart).message)
  end

  def test_times_and_numbers_as_people_say_them
    { 0 => '0.0 s', 1.25 => '1.2 s', 119 => '119.0 s', 120 => '2 minutes', 7200 => '2 hours', 86_400 => '24 hours',
      172_800 => '2 days' }.each { |seconds, text| assert_equal text, Xlreg::Text.duration(seconds) }
    assert_equal '0, 2 to 4, 7, 8', Xlreg::Text.list([0, 2, 3, 4, 7, 8])
  end

  def test_an_error_says_what_was_being_done
    error = assert_raises(Xlreg::ClusterFullError) do
      Xlreg::Text.doing('form') { Xlreg::Text.doing('join') { raise Xlreg::ClusterFullError } }
    end
    assert_equal 'form: join: cluster is full', error.message
    assert_equal 1, error.message.lines.size
  end

  def test_values_are_values
    one = token('m1')
    assert_equal [one, one.hash], [token('m1'), token('m1').hash]
    refute_equal one, one.with(attrs: 1)
    assert_predicate one, :frozen?
    assert_raises(FrozenError) { one.name = 'm2' }
  end

  def test_identifiers_of_two_kinds_are_never_equal
    node, cluster = [Xlreg::NodeID, Xlreg::ClusterID].map { |kind| kind.new('i' * 20) }
    refute_equal node, cluster
    assert_equal 2, { node => 1, cluster => 2 }.size
    assert_equal node, Xlreg::NodeID.parse(node.to_s.upcase)
    [19, 21, 31, 0].each { |size| assert_raises(Xlreg::IDError) { Xlreg::NodeID.new('i' * size) } }
  end

  def test_versions
    version = Xlreg::DecimalVersion.new(1, 2, 3, 4)
    assert_equal [version, 0x04030201, '1.2.3.4'],
                 [Xlreg::DecimalVersion.parse('1.2.3.4'), version.to_i, version.to_s]
    assert_operator version, :<, Xlreg::DecimalVersion.new(1, 2, 3, 5)
    assert_operator Xlreg::DecimalVersion.new(1, 10), :>, Xlreg::DecimalVersion.new(1, 9)
    refute_equal version, '1.2.3.4'
    ['', ' ', '1', '1.2.3.4.5', '1.256', '1.²', "1.2\n"].each do |bad|
      assert_raises(Xlreg::VersionError, bad) { Xlreg::DecimalVersion.parse(bad) }
    end
    [-1, 2**32].each { |bad| assert_raises(Xlreg::VersionError) { Xlreg::DecimalVersion.from_i(bad) } }
  end

  def test_protocols
    Xlreg::Protocol::ALL.each { |protocol| assert_same protocol, Xlreg::Protocol.of(protocol.to_s) }
    assert_equal %w[1.8 1.9], Xlreg::Protocol::ALL.select(&:classic?).map(&:to_s)
    ['2', '2.1', nil, ''].each { |bad| assert_raises(Xlreg::VersionError) { Xlreg::Protocol.of(bad) } }
  end

  # What names a cluster, in each form that is taken.
  def test_references
    cluster = roster.cluster
    assert_equal [cluster.id, 'web', nil], Xlreg::ClusterRef.of(cluster).to_a
    assert_equal [cluster.id, '', nil], Xlreg::ClusterRef.of(cluster.id).to_a
    assert_equal [nil, 'web', nil], Xlreg::ClusterRef.of(:web).to_a
    assert_predicate Xlreg::ClusterRef.of(nil), :none?
    ref = Xlreg::ClusterRef.new
    assert_same ref, Xlreg::ClusterRef.of(ref)
  end

  # Nothing that is private, and no key, is in what a log or a debugger shows.
  def test_what_is_private_is_not_shown
    node = node(0)
    hello = Xlreg::Classic::Hello.make(Xlreg::Protocol::V18)
    reply = Xlreg::Classic::HelloReply.make(Xlreg::Protocol::V18)
    { node.inspect => 'm0', node.keys.inspect => 'SHA256:', hello.inspect => '1.8', reply.inspect => '1.8',
      token('m1').inspect => 'm1' }.each do |shown, word|
      assert_includes shown, word
      assert_operator shown.size, :<, 120
    end
  end

  def test_everything_public_is_documented
    undocumented = SOURCES.reject { |path| path.end_with?('/pb.rb') }.flat_map do |path|
      lines = File.readlines(path)
      lines.each_index.select { |i| /^\s*(class|module) [A-Z]\w*(?! *=)/.match?(lines[i]) }
           .reject { |i| /^\s*#/.match?(lines[i - 1]) || /^\s*module (Xlreg|Wire)$/.match?(lines[i]) }
           .map { |i| "#{path}:#{i + 1}: #{lines[i].strip}" }
    end
    assert_empty undocumented
  end

  # Whoever holds on to an error of ours catches all of them.
  def test_every_class_of_error_has_the_root
    assert_operator Xlreg::Error, :<, StandardError
    named = Xlreg.constants.map { |name| Xlreg.const_get(name) }.grep(Class).select { |kind| kind < StandardError }
    strange = named.reject { |kind| kind <= Xlreg::Error }
    assert_empty strange - [defined?(Xlreg::UsageError) ? Xlreg::UsageError : nil].compact
  end
end
