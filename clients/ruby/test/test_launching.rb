# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'
require 'stringio'

# Programs that 'xlreg-rb join' starts as members, at a real registry.
class TestLaunching < Minitest::Test
  include Real

  LEASE = 60 # seconds, much longer than a test takes

  # A cluster of two in which one is already, in a folder of its own.
  def with_half_a_cluster
    Dir.mktmpdir do |folder|
      Dir.chdir(folder) do
        with_registry do |registry|
          @other = Xlreg::Node.init('a', name: 'a', keys: Xlreg::TestHelper.keys(0))
          Xlreg::Node.init('b', name: 'b', keys: Xlreg::TestHelper.keys(1)).close
          join_other(registry)
          yield registry
        end
      end
    end
  end

  def join_other(registry, labels: nil)
    Xlreg.form(registry.url, node: @other, cluster: 'web', size: 2, advertise: ['127.0.0.1:7001'], no_wait: true,
                             labels: labels)
  end

  def run_here(*arguments)
    out, err = Array.new(2) { StringIO.new }
    code = Xlreg::CLI.run(arguments, out: out, err: err, input: StringIO.new)
    [out.string, err.string, code]
  end

  def joining(registry, *flags)
    ['join', 'web', '--registry', registry.url, '--node', 'b', '--endpoint', '127.0.0.1:7002', *flags]
  end

  # Starts b's program, which runs until its input ends, and yields its pid, its input and what it prints.
  def with_program(registry, *flags, program: 'echo up; exec cat')
    input, ours = IO.pipe
    output, theirs = IO.pipe
    pid = spawn(*EXE, *joining(registry, *flags), '--', 'sh', '-c', program, in: input, out: theirs, err: theirs)
    [input, theirs].each(&:close)
    assert_equal "up\n", output.gets
    yield pid, ours, output
  ensure
    [ours, output].each { |io| io&.close unless io&.closed? }
    Process.wait(pid) if pid
  end

  def test_it_ends_as_its_program_does
    with_half_a_cluster do |registry|
      { ['true'] => [0, ''], ['sh', '-c', 'exit 3'] => [3, "xlreg: b ended with exit status 3\n"],
        ['sh', '-c', 'kill -9 $$'] => [137, "xlreg: b was ended by a signal: KILL\n"],
        ['no-such-program'] => [127, "xlreg: no-such-program: no such program: install it, or give its path\n"],
        [__dir__] => [126, /\Axlreg: .*: Permission denied/] }.each do |command, (code, text)|
        out, err, status = run_here(*joining(registry, '--', *command))
        assert_equal ['', code], [out, status], command.inspect
        assert_operator text, :===, err
      end
    end
  end

  TELL = 'env | grep ^XLREG_; ls -l $XLREG_TLS_KEY; openssl x509 -in $XLREG_TLS_CERT -noout && ' \
         'grep -c BEGIN $XLREG_TLS_PEERS; ' \
         'echo $(grep -c BEGIN ${XLREG_TLS_CERT%cert.pem}keycert.pem) in one file; cat $XLREG_ROSTER'

  # The program finds the cluster in its environment and in files, and no ticket.
  def test_what_a_program_is_told
    with_half_a_cluster do |registry|
      out, status = Open3.capture2({ 'XLREG_TICKET' => 'xlreg://secret', 'XLREG_LABEL' => 'role=db' }, *EXE,
                                   *joining(registry), '--', 'sh', '-c', TELL)
      assert_predicate status, :success?, out
      assert_equal(%w[b 1 2], %w[SELF INDEX SIZE].map { |name| out[/^XLREG_#{name}=(.*)$/, 1] })
      refute_match(/secret/, out)
      ours = out[/^XLREG_ENDPOINTS=(.+)$/, 1]
      assert_equal 'db', out[/^XLREG_ROLE=(.*)$/, 1]
      assert_match(/^XLREG_ENDPOINT_0=#{Regexp.escape(ours)}$/, out)
      assert_match(/^XLREG_ENDPOINTS_0=.+,#{Regexp.escape(ours)}$/, out)
      assert_match(/^2 in one file$/, out)
      assert_match(/^-rw-------/, out)
      assert_match(/^2$/, out)
      members = JSON.parse(out[/^\{.*/m])['members']
      assert_equal [%w[a b], { 'role' => 'db' }], [members.map { |one| one['name'] }, members[1]['labels']]
    end
  end

  # The program's start is noted as the Go program notes it, so that a look at the cluster is no twin.
  def test_a_lease_is_kept_and_a_look_is_no_twin
    with_half_a_cluster do |registry|
      with_program(registry, '--lease', "#{LEASE}s") do |_, input, _|
        looked = joining(registry).first(6)
        [run_here(*looked), run_go(*looked)].each { |_, err, code| assert_equal ['', 0], [err, code] }
        shown = JSON.parse(run_here('get', 'web', '--registry', registry.url, '-o', 'json')[0])
        assert_equal([nil, LEASE * 1000], shown['members'].map { |one| one['leaseMillis'] })
        input.close
      end
      assert_equal 0, $CHILD_STATUS.exitstatus
    end
  end

  # A change is told after the files are new.
  def test_a_change_is_told
    with_half_a_cluster do |registry|
      tell = 'echo "changed [$XLREG_CAME] [$XLREG_WENT] [$XLREG_CHANGED] $(grep -c color $XLREG_ROSTER)"'
      with_program(registry, '--on-change', tell) do |_, _, output|
        join_other(registry, labels: { 'color' => 'red' })
        assert_equal "changed [] [] [a] 1\n", output.gets
      end
    end
  end

  # Whoever takes the seat over ends the program of the other.
  def test_a_twin_ends_the_program
    with_half_a_cluster do |registry|
      with_program(registry, '--lease', "#{LEASE}s") do |_, _, output|
        assert_equal 0, run_here(*joining(registry), '--take-over')[2]
        assert_match(/\Axlreg: .*another process runs as this node, with its key, at 127.0.0.1:7002, and took/,
                     output.gets)
      end
      assert_equal 1, $CHILD_STATUS.exitstatus
    end
  end

  # A signal is the program's to answer.
  def test_a_signal_is_passed_on
    with_half_a_cluster do |registry|
      with_program(registry, program: "trap 'echo asked; exit 5' TERM; echo up; read x") do |pid, input, output|
        Process.kill(:TERM, pid)
        assert_equal ["asked\n", "xlreg: b ended with exit status 5\n"], Array.new(2) { output.gets }
        input.close
      end
      assert_equal 5, $CHILD_STATUS.exitstatus
    end
  end

  USAGE = { %w[--lease 5s] => /--lease is kept for as long as COMMAND runs/,
            %w[--on-change x] => /--on-change is for as long as COMMAND runs/, %w[--] => /say what to start/,
            %w[--wait 0 -- true] => /--wait/, %w[-- echo {{.Self}}] => /no templates/,
            %w[--lease 5s --protocol 1.9 -- true] => /needs protocol 2.0/,
            %w[--label a=1 --label a=2] => /--label a: is there twice/, %w[--lease -5s -- true] => /0 or more/ }.freeze

  def test_command_lines_that_are_wrong
    USAGE.each do |flags, text|
      _, err, code = run_here('join', 'web', '--registry', 'x', '--endpoint', 'h:1', *flags)
      assert_equal 2, code, err
      assert_match text, err
    end
  end

  # What a program finds in its environment is spelled like flags, and is none.
  def test_a_program_that_runs_it_again
    told = { 'XLREG_SELF' => 'b', 'XLREG_SIZE' => '7' }
    told.each { |name, value| ENV[name] = value }
    assert_equal 0, Xlreg::Command.new(['join', 'web', '--registry', 'x']).size
    ENV.delete('XLREG_SELF')
    assert_equal 7, Xlreg::Command.new(['join', 'web', '--registry', 'x']).size
  ensure
    told.each_key { |name| ENV.delete(name) }
  end

  def test_a_damaged_seat_file
    with_half_a_cluster do |registry|
      assert_equal 0, run_here(*joining(registry))[2]
      path = Dir['b/seats/*'].first
      ['', '{}', '[]', '{"run": 1}', '{"run": ""}', '{"run": "00", "labels": [1]}'].each do |text|
        File.write(path, text)
        _, err, code = run_here(*joining(registry))
        assert_equal 1, code, text
        assert_match(/#{path} does not say how the node joined: remove the file/, err)
      end
      FileUtils.rm(path)
      assert_equal 0, run_here(*joining(registry))[2]
      assert_equal 0, run_here('leave', 'web', '--node', 'b', '--registry', registry.url)[2]
      refute_path_exists path
    end
  end
end
