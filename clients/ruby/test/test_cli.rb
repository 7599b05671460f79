# frozen_string_literal: true

require_relative 'real'

# exe/xlreg-rb has the flags, exit codes and output of the Go program.
class TestCLI < Minitest::Test
  include Real

  def test_create_join_and_get
    Dir.mktmpdir do |folder|
      with_registry do |registry|
        at = ['--registry', registry.url]
        first = [*at, '--node', File.join(folder, 'a')]
        check_created(run_ruby('create', 'web', '--size', '2', '-o', 'json', *first))
        joined, err, code = run_ruby('join', 'web', '--endpoint', '127.0.0.1:7001', '-o', 'json', *first)
        assert_equal [0, '', ['a']], [code, err, JSON.parse(joined)['members'].map { |one| one['name'] }]
        check_deadline(at)
        both = run_ruby('join', 'web', '--endpoint', '127.0.0.1:7002', '--wait', '30s', *at, '--node',
                        File.join(folder, 'b'))
        assert_equal 0, both[2]
        compare(['get', 'web', *at])
        compare(['get', 'web', '-o', 'json', *at])
        assert_equal run_go('get', 'web', *at)[0], both[0]
      end
    end
  end

  def check_created(result)
    made, err, code = result
    assert_equal [0, ''], [code, err]
    assert_equal ['web', 2, 1, 0], JSON.parse(made)['cluster'].values_at('name', 'size', 'endpointCount', 'attrs')
  end

  def check_deadline(at)
    _, err, code = run_ruby('get', 'web', '--wait', '200ms', *at)
    assert_equal 3, code
    assert_match(/\Axlreg: .*1 of 2 members joined, 1 missing.*a at 127.0.0.1:7001/, err)
    assert_equal 1, err.lines.size
  end

  # Both programs print the same.
  def compare(arguments)
    go = run_go(*arguments)
    assert_equal 0, go[2]
    assert_equal go, run_ruby(*arguments)
  end

  def test_exit_codes_and_output_of_failures
    with_registry do |registry|
      at = ['--registry', registry.url]
      [['get', 'none', *at], ['get', '0' * 40, *at]].each do |arguments|
        assert_equal run_go(*arguments), run_ruby(*arguments)
      end
      [[], ['nothing'], ['get', *at], ['get', 'a b', *at], %w[get web], ['get', 'web', '--size', '3', *at],
       ['join', 'web', '--create', *at], ['join', 'web', '--endpoint', '0.0.0.0:1', *at], ['create', 'web', *at],
       ['create', 'web', '--size', '65', *at], ['get', 'web', '--wait', 'soon', *at],
       ['get', 'web', '--protocol', '1.7', *at], ['get', 'web', '-o', 'xml', *at]].each do |arguments|
        out, err, code = run_ruby(*arguments)
        assert_equal [2, '', 1], [code, out, err.lines.size], arguments.inspect
      end
    end
  end

  def test_flags_from_the_environment
    with_registry do |registry|
      ENV['XLREG_REGISTRY'] = registry.url
      ENV['XLREG_WAIT'] = '100ms'
      require 'xlreg/cli'
      out, err = [+'', +''].map { |text| StringIO.new(text) }
      assert_equal 1, Xlreg::CLI.run(%w[get none], out: out, err: err)
      assert_match(/cannot find cluster with this name/, err.string)
    ensure
      %w[XLREG_REGISTRY XLREG_WAIT].each { |name| ENV.delete(name) }
    end
  end

  def test_help
    out, err, code = run_ruby('--help')
    assert_equal [0, ''], [code, err]
    assert_includes out, '--registry FILE|URL'
  end
end
