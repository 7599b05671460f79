# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'
require 'tmpdir'

# Members that start while their registry is away, from the roster that they have saved.
class TestOffline < Minitest::Test
  include Real

  PROGRAM = ['--', 'sh', '-c', 'echo $XLREG_INDEX $(grep -c BEGIN $XLREG_TLS_PEERS)'].freeze

  # A keyed cluster of two in which b is already; a joins as the arguments say that are yielded.
  def with_cluster
    Dir.mktmpdir do |folder|
      Dir.chdir(folder) do
        with_registry(data: File.join(folder, 'data'), listen: own_address) do |registry|
          2.times { |i| Xlreg::Node.init('ab'[i], name: 'ab'[i], keys: Xlreg::TestHelper.keys(i)).close }
          ticket = Xlreg::Ticket.new_owner(registry.url, 'web', size: 2)
          File.write('owner.ticket', "#{ticket.text}\n", perm: 0o600)
          assert_ended 0, run_ruby(*joining('b', 2))
          yield registry, joining('a', 1)
        end
      end
    end
  end

  def joining(node, port) = %W[join --ticket-file owner.ticket --node #{node} --endpoint 127.0.0.1:#{port}]

  def assert_ended(code, ended, says = //)
    assert_equal code, ended[2], ended[1]
    assert_match says, ended[0] + ended[1]
    ended[0]
  end

  def kept = Dir['a/rosters/*'].then { |all| all.one? ? all.first : flunk(all.inspect) }

  def test_start_without_the_registry
    with_cluster do |registry, join|
      assert_ended 1, run_ruby(*join, '--offline', *PROGRAM), /no roster of the cluster is kept here|no node/
      assert_ended 0, run_ruby(*join, *PROGRAM)
      assert_equal 0o600, File.stat(kept).mode & 0o777
      registry.kill

      assert_ended 0, run_ruby(*join, '--offline'), /^2 of 2 members$/
      assert_equal "1 2\n", assert_ended(0, run_ruby(*join, '--offline', *PROGRAM), /starting from the roster of 2/)
      late = run_ruby(*join, '--offline-after', '500ms', *PROGRAM)
      assert_equal "1 2\n", assert_ended(0, late, /the registry cannot be reached for 0\.5 s: starting from the roster/)
      assert_ended 2, run_ruby(*join, '--offline', '--fresh', *PROGRAM), /leave one out/
      assert_ended 1, run_ruby(*join[..-2], '127.0.0.1:9', '--offline'), /it can move only while the registry is there/
      check_spoilt(join)
    end
  end

  def check_spoilt(join)
    good = File.binread(kept)
    changed = good.dup.tap { |bytes| bytes.setbyte(400, bytes.getbyte(400) ^ 1) }
    File.delete(path = kept)
    File.mkfifo(path)
    assert_ended 1, run_ruby(*join, '--offline'), /roster cannot be read: it is not a regular file; join again while/
    File.delete(path)
    File.symlink(File.basename(path), path)
    assert_ended 1, run_ruby(*join, '--offline'), /cannot be read: too many levels of symbolic links; join again while/
    File.delete(path)
    File.write(path, '')
    { good[..-2] => /cut short/, changed => /has been changed since/, '' => /no saved roster/ }.each do |bytes, why|
      File.binwrite(kept, bytes)
      said = run_ruby(*join, '--offline', *PROGRAM)
      assert_ended 1, said, why
      assert_ended 1, said, /join again while the registry is there, and the file is made anew$/
    end
  end

  # The program starts on time although one attempt to reach the registry takes much longer: something accepts
  # connections, and says nothing.
  def test_a_registry_that_says_nothing
    with_cluster do |registry, join|
      assert_ended 0, run_ruby(*join, *PROGRAM)
      endpoint = Xlreg::Target.load(registry.url).endpoints.first
      registry.kill
      silent = TCPServer.new(endpoint.host, endpoint.port)
      wait = "#{Xlreg::Timing::DEFAULT.stall - 1}s" # the attempt alone may take longer
      late = run_ruby(*join, '--offline-after', '500ms', '--wait', wait, *PROGRAM)
      assert_equal "1 2\n", assert_ended(0, late, /the registry cannot be reached for 0\.5 s: starting from the roster/)
    ensure
      silent&.close
    end
  end

  # Any answer of the registry counts, even an error; and where nothing is kept, the formation goes on.
  def test_the_time_starts_anew_when_the_registry_answers
    asked = Queue.new
    away = Xlreg::Offline::Away.new(1) { asked.push(true) && nil }
    there = away.run do
      away.saw(progress(Xlreg::TryLaterError.new))
      sleep(1.5)
      assert_empty asked
      away.saw(progress(Xlreg::UnreachableError.new([])))
      asked.pop
      'there'
    end
    assert_equal 'there', there
  end

  def progress(error) = Xlreg::Progress.new(cluster: nil, roster: nil, size: 0, error: error)

  # A formation that is ended is waited for.
  def test_what_is_ended_closes_what_it_has
    closed = nil
    away = Xlreg::Offline::Away.new(0.1) { 'saved' }
    error = assert_raises(Xlreg::Offline::AwayError) do
      away.run do
        sleep
      ensure
        closed = true
      end
    end
    assert_equal ['saved', true], [error.saved, closed]
    assert_raises(ZeroDivisionError) { Xlreg::Offline::Away.new(PATIENCE) { flunk }.run { 1 / 0 } }
  end

  # While the program runs, the registry comes back, and the member follows the cluster again.
  def test_the_registry_comes_back
    with_cluster do |registry, join|
      assert_ended 0, run_ruby(*join, *PROGRAM)
      registry.kill
      flags = ['--offline', '--lease', '20s', '--on-change', 'echo "$XLREG_CHANGED"']
      IO.popen([*EXE, *join, *flags, '--', 'sh', '-c', 'echo up; read x'], 'r+', err: %i[child out]) do |live|
        assert_match(/the registry is not asked/, live.gets)
        assert_equal "up\n", live.gets
        registry.start
        assert_equal ["a\n", "xlreg: the registry is back, and a follows web again\n"], [live.gets, live.gets].sort
        live.puts
        live.close_write
        assert_empty live.read
      end
      assert_predicate $CHILD_STATUS, :success?
    end
  end

  # Go and Ruby keep it in one place, and each reads what the other has saved.
  def test_go_and_ruby_read_what_the_other_saved
    with_cluster do |registry, join|
      assert_ended 0, run_ruby(*join, *PROGRAM)
      registry.kill
      assert_equal "1 2\n", assert_ended(0, run_go(*join, '--offline', *PROGRAM))
      registry.start
      before = kept
      File.delete(before)
      assert_ended 0, run_go(*join, *PROGRAM)
      assert_equal before, kept
      registry.kill
      assert_equal "1 2\n", assert_ended(0, run_ruby(*join, '--offline', *PROGRAM))
    end
  end

  # A program has the same without the command line, and is told when its seat is gone.
  def test_resume
    with_cluster do |registry, _join|
      target = Xlreg::Ticket.load(File.read('owner.ticket').chomp)
      Xlreg::Node.open('a') do |node|
        member = Xlreg.form(target, node: node, advertise: ['127.0.0.1:1'], timeout: PATIENCE)
        saved = Xlreg::SavedRoster.load(member.save, target, node)
        registry.kill
        check_resumed(registry, saved, node)
        member.leave(timeout: PATIENCE)
        again = Xlreg.resume(saved, node: node)
        assert_raises(Xlreg::NotMemberError) { again.watch(timeout: PATIENCE) { |change| flunk(change.inspect) } }
      end
    end
  end

  def check_resumed(registry, saved, node)
    again = Xlreg.resume(saved, node: node, lease: 20)
    assert_equal [saved.roster, ['b'], true], [again.roster, again.others.map(&:name), again.roster.pinned?]
    again.server_context
    registry.start
    again.watch(timeout: PATIENCE) do |change|
      assert_equal ['a'], change.changed.map(&:name)
      break
    end
    assert_in_delta 20, again.lease
    assert_operator again.heard, :>, saved.heard
  ensure
    again&.close
  end
end
