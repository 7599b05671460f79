# frozen_string_literal: true

require_relative 'real'

# Clusters in the course of time, at a real registry: watches, leases, fresh starts and twins.
class TestFollowing < Minitest::Test
  include Real

  def peer(number, **more)
    node(number, keys: Xlreg::TestHelper.keys(number, 'p256'), endpoints: ["127.0.0.1:#{7001 + number}"], **more)
  end

  # What keeps a seat goes on in the background, and would look for its registry during the tests that follow.
  def teardown
    @formed&.size&.times { @formed.pop.close }
    super
  end

  def form(registry, members, **more)
    @formed ||= Queue.new # several threads may form
    threads = members.map do |member|
      Thread.new { Xlreg.form(registry.url, node: member, cluster: 'web', timeout: PATIENCE, **more) }
    end
    threads.map(&:value).each { |membership| @formed << membership }
  end

  # Returns the changes of a watch as they are, each as names with a mark, in a thread.
  def watching(watch, changes)
    Thread.new do
      Thread.current.report_on_exception = false
      watch.call do |change|
        changes << [change.came.map { |one| "+#{one.name}" }, change.went.map { |one| "-#{one.name}" },
                    change.changed.map { |one| "~#{one.name}" }].flatten.sort.join(' ')
      end
    end
  end

  def reader(registry) = ->(&block) { Xlreg.watch(registry.url, 'web', &block) }

  def test_each_change_once # rubocop:disable Metrics/MethodLength
    Dir.mktmpdir do |folder|
      with_registry(data: File.join(folder, 'data'), listen: own_address) do |registry|
        first, second = form(registry, [peer(0), peer(1)], size: 2)
        own = Queue.new
        all = Queue.new
        threads = [watching(first.method(:watch), own), watching(reader(registry), all)]
        assert_equal '+m0 +m1', all.pop
        second.leave
        assert_equal %w[-m1 -m1], [own.pop, all.pop]
        assert_equal [], first.others
        registry.kill
        registry.start
        back = peer(1, labels: { 'role' => 'worker' })
        form(registry, [back], size: 2)
        assert_equal %w[+m1 +m1], [own.pop, all.pop]
        assert_equal({ 'role' => 'worker' }, first.others.first.labels)
        back.update_labels({ 'role' => 'idle' })
        form(registry, [back], size: 2)
        assert_equal %w[~m1 ~m1], [own.pop, all.pop]
        first.close
        assert_raises(Xlreg::ClosedError) { threads[0].value }
        threads[1].kill.join
        assert_empty [own.size, all.size] - [0]
      end
    end
  end

  # The seat lasts while the membership lives, far beyond its lease, and goes soon after.
  def test_a_lease
    with_registry do |registry|
      leaving_nothing_open do
        kept, lost = form(registry, [peer(0), peer(1)], size: 2, lease: 5)
        assert_equal 5.0, kept.lease
        assert_in_delta Time.now, kept.me.seen, 30
        gone = Queue.new
        watch = watching(kept.method(:watch), gone)
        lost.close
        assert_equal '-m1', gone.pop
        assert_nil kept.fate
        kept.close
        assert_raises(Xlreg::ClosedError) { watch.value }
      end
    end
  end

  def test_a_twin_is_told
    with_registry do |registry|
      first, = form(registry, [peer(0), peer(1)], size: 2)
      again, = form(registry, [node(0, keys: Xlreg::TestHelper.keys(0, 'p256'), endpoints: ['127.0.0.1:9001'])],
                    size: 2)
      error = assert_raises(Xlreg::TwinError) { first.refresh(timeout: PATIENCE) }
      assert_equal [['127.0.0.1:9001'], 3], [error.endpoints.map(&:to_s), error.code]
      assert_match(/at 127.0.0.1:9001, and took its seat at 20/, error.message)
      assert_in_delta Time.now, error.joined, 120
      assert_equal 2, again.refresh(timeout: PATIENCE).members.size
    end
  end

  # One with a lease shows that it lives, so that a second process leaves it its seat, unless it means it.
  def test_a_twin_that_lives_keeps_its_seat
    with_registry do |registry|
      first, = form(registry, [peer(0), peer(1)], size: 2, lease: 6)
      assert_raises(Xlreg::TwinError) { Xlreg.form(registry.url, node: peer(0), cluster: 'web', size: 2, lease: 6) }
      second, = form(registry, [peer(0)], size: 2, lease: 6, take_over: true)
      assert_raises(Xlreg::TwinError) { first.watch(timeout: PATIENCE) { nil } }
      assert_kind_of Xlreg::TwinError, first.fate
      assert_nil second.fate
    end
  end

  # A cluster that starts anew shows nobody an address of the last start.
  def test_a_fresh_start
    with_registry do |registry|
      old = form(registry, [peer(0), peer(1)], size: 2, fresh: true)
      moved = Array.new(2) do |i|
        node(i, keys: Xlreg::TestHelper.keys(i, 'p256'), endpoints: ["127.0.0.1:#{8001 + i}"])
      end
      one = Thread.new { form(registry, [moved[0]], size: 2, fresh: true)[0] }
      other = form(registry, [moved[1]], size: 2, fresh: true)[0]
      [one.value, other].each do |membership|
        assert_equal %w[127.0.0.1:8001 127.0.0.1:8002], membership.roster.members.flat_map(&:endpoints).map(&:to_s).sort
        assert_operator membership.roster.state.epoch, :>, old[0].roster.state.epoch
      end
      old.each { |membership| assert_raises(Xlreg::NotMemberError, Xlreg::TwinError) { membership.refresh } }
    end
  end
end
